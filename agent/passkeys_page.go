package agent

import (
	"context"
	"slices"

	"github.com/sallyport/sallyport/agent/console/page"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/passkey"
)

// passkeys are those of the agent's page, as people register and use them there: page.Keyring
// and page.Passkeys.
type passkeys struct{ decisions }

// Fresh implements page.Keyring.
func (p passkeys) Fresh(ctx context.Context, nonce, token string) (grant.Visit, error) {
	client := p.a.rules.Load().Console.SignIn.Client
	v, err := p.a.deliveries.Load().verifier.CheckFreshVisit(ctx, client, nonce, token, p.a.now())
	if err == nil && !v.Approver {
		err = session.Errorf(session.Denied, "%s is not one of the hospital's approvers, who register passkeys.", shownName(v.Person)).WithNext("Ask hospital IT for the group.")
	}
	return v, err
}

// Register implements page.Keyring.
func (p passkeys) Register(who grant.Visit, challenge [32]byte, clientData, attestation []byte) (page.Passkey, error) {
	at, err := p.a.cfg.Console.Passkeys()
	if err != nil {
		return page.Passkey{}, err
	}
	key, err := at.Register(challenge, clientData, attestation)
	if err != nil {
		return page.Passkey{}, err
	}
	r := grant.Registered{Key: key, Person: who.Person, Groups: p.deciding(who.Groups), Since: p.a.now()}
	if err := p.a.ring.Add(r, at.Host()); err != nil {
		return page.Passkey{}, err
	}
	name := session.ConsoleKey{ID: key.ID}.Name()
	p.a.log.Info("a passkey is registered", "passkey", name, "user", who.Person.Sub, "issuer", who.Person.Iss)
	p.a.reporter.kick()
	return page.Passkey{Name: name, ID: key.ID, Since: r.Since}, nil
}

// deciding are those of somebody's groups on which it depends here what they may approve.
func (p passkeys) deciding(groups []string) (all []string) {
	rules := p.a.rules.Load()
	for _, g := range groups {
		asked := slices.ContainsFunc(rules.Issuers, func(i session.Issuer) bool { return i.Group(session.Approver) == g }) ||
			slices.ContainsFunc(rules.Assets, func(a Asset) bool {
				return slices.ContainsFunc(a.Policy.Quorum, func(q session.Quorum) bool { return q.Group == g })
			})
		if asked {
			all = append(all, g)
		}
	}
	return all
}

// Of implements page.Keyring.
func (p passkeys) Of(who session.Identity) (all []page.Passkey, err error) {
	own, err := p.a.ring.Of(who)
	for _, k := range own {
		all = append(all, page.Passkey{Name: k.Public().Name(), ID: k.Key.ID, Since: k.Since, Used: k.Used})
	}
	return all, err
}

// Revoke implements page.Keyring.
func (p passkeys) Revoke(key string, of session.Identity) error {
	own, err := p.Of(of)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(own, func(k page.Passkey) bool { return k.Name == key }) {
		return session.Errorf(session.Invalid, "That is none of your passkeys.").WithNext("Load the page again.")
	}
	_, err = p.a.ring.Revoke(key, p.a.now())
	p.a.reporter.kick()
	return err
}

// Enter implements page.Passkeys.
func (p passkeys) Enter(challenge [32]byte, a passkey.Answer) (page.Visitor, error) {
	at, err := p.a.cfg.Console.Passkeys()
	if err != nil {
		return page.Visitor{}, err
	}
	known, ok := p.a.ring.Find(a.ID)
	if !ok {
		return page.Visitor{}, session.Errorf(session.Denied, "This passkey is not registered here, or it was revoked.").WithNext("Sign in at the identity provider, and register it.")
	}
	count, err := at.Check(known.Key, challenge, a)
	if err == nil {
		err = p.a.deliveries.Load().verifier.Owns(known)
	}
	if err == nil {
		err = p.a.ring.Counted(known.Key, count, p.a.now())
	}
	if err != nil {
		return page.Visitor{}, err
	}
	return page.Visitor{Person: known.Person, Name: shownName(known.Person), Approves: true, Key: session.ConsoleKey{ID: a.ID}.Name()}, nil
}

// Press implements page.Passkeys. The draft's bytes are those that its reader was shown.
func (p passkeys) Press(ctx context.Context, x *page.Draft, who page.Visitor, a passkey.Answer) (page.Outcome, error) {
	rid, err := session.ParseRequestID(x.Request.ID)
	if err != nil {
		return page.Outcome{}, err
	}
	pending, err := p.a.ledger.PendingRequest(rid)
	if err != nil {
		return page.Outcome{}, err
	}
	d, now := p.a.deliveries.Load(), p.a.now()
	g, receipt, err := d.verifier.CheckPasskey(pending.Request, pending.Engineer, x.Grant, a, now)
	if err != nil {
		return page.Outcome{}, err
	}
	// The count is on the disk before the answer counts for anything.
	if err := p.a.ring.Counted(receipt.Passkey.Key, receipt.Passkey.Count, now); err != nil {
		return page.Outcome{}, err
	}
	p.a.deciding.RLock()
	v, err := d.take(rid, pending, signed{g, x.Grant, receipt}, p.keepOf(who), now)
	p.a.deciding.RUnlock()
	if err != nil {
		return page.Outcome{}, err
	}
	p.a.reporter.kick()
	return p.outcome(x, v), nil
}

// provable is with what somebody can still approve a request at an asset.
func provable(count session.ConsoleKeys, registered bool, given []grant.Receipt, who session.Identity) (token, key bool) {
	var mine grant.Receipt
	for _, r := range given {
		if r.Person.Identity == who {
			mine = r
		}
	}
	token, key = mine.Proof.Token != "", mine.Passkey != nil
	switch count {
	case session.KeysInstead:
		return !token && !key, registered && !token && !key
	case session.KeysBoth:
		return !token, registered && !key
	}
	return !token, false
}
