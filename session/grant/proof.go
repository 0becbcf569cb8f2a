package grant

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
	"github.com/sallyport/sallyport/session/wording"
)

// pins is whose tokens count, and for what.
type pins struct {
	issuers []session.Issuer
	keys    *idtoken.KeySets
	acr     []string
}

func newPins(issuers []session.Issuer, keys *idtoken.KeySets) (pins, error) {
	type pin struct {
		url  string
		side session.Side
	}
	seen := map[pin]bool{}
	for _, i := range issuers {
		if err := i.Check(i.URL); err != nil {
			return pins{}, misconfigured("%v", err)
		}
		if i.Side != session.VendorSide && i.Side != session.HospitalSide {
			return pins{}, misconfigured("the identity provider %.200q has no side", i.URL)
		}
		if seen[pin{i.URL, i.Side}] {
			return pins{}, misconfigured("the identity provider %.200q is pinned twice for one side", i.URL)
		}
		seen[pin{i.URL, i.Side}] = true
		if _, ok := keys.For(i.URL); !ok {
			return pins{}, misconfigured("the identity provider %.200q has no key set", i.URL)
		}
		for client, class := range i.Clients {
			if client == "" || class != session.CLI && class != session.Console && class != session.Web {
				return pins{}, misconfigured("the client %.80q of %.200q has the unknown class %.40q", client, i.URL, class)
			}
		}
	}
	return pins{issuers: slices.Clone(issuers), keys: keys}, nil
}

// question is what one token must prove.
type question struct {
	role     Role
	issuer   string
	subject  [32]byte
	nonce    func(salt [32]byte) string
	at       time.Time
	asMinted bool
}

// answer checks one proof: steps 3 to 10 of the check order, but for the asset's own
// choice of client classes.
func (p pins) answer(ctx context.Context, q question, proof Proof) (Receipt, error) {
	pin, err := p.pin(q)
	if err != nil {
		return Receipt{}, err
	}
	salt, ok := proof.salt()
	if !ok {
		return Receipt{}, &session.Error{Kind: session.Invalid, Message: "The sign-in token comes without its 32 bytes of salt.", Next: "Let sallyport send both."}
	}
	keys, _ := p.keys.For(pin.URL)
	claims, err := idtoken.Verify(ctx, keys, proof.Token, p.expect(q, pin, salt))
	if err != nil {
		return Receipt{}, err
	}
	if !q.asMinted {
		if err := sameClock(pin.URL, keys); err != nil {
			return Receipt{}, err
		}
	}
	class, err := admits(q.role, pin, claims)
	if err != nil {
		return Receipt{}, err
	}
	received := q.at
	if q.asMinted {
		received = claims.IssuedAt
	}
	return Receipt{
		Role: q.role, Proof: Proof{Token: proof.Token, Salt: slices.Clone(proof.Salt)}, Received: received.Round(0).UTC(),
		Person: claims.Person, Client: class, IssuedAt: claims.IssuedAt, AuthTime: claims.AuthTime,
		KeyID: claims.KeyID, Key: claims.Key, Subject: q.subject, Groups: slices.Clone(claims.Groups),
	}, nil
}

func (p pins) expect(q question, pin session.Issuer, salt [32]byte) idtoken.Expect {
	e := idtoken.Expect{
		Issuer:  pin.URL,
		Clients: slices.Sorted(maps.Keys(pin.Clients)),
		Nonce:   q.nonce(salt),
		At:      q.at,
		MaxAge:  MaxTokenAge,
	}
	if pin.Login != "" {
		e.Clients = append(e.Clients, pin.Login) // to be told apart below, with a better message
	}
	if q.role == RoleApprove {
		e.FreshLogin, e.ACR = pin.FreshFor(), p.acr
	}
	if q.asMinted { // how old it was, and how fresh the login, at its receipt only the agent saw
		e.At, e.AsMinted, e.MaxAge, e.FreshLogin = time.Time{}, true, 0, 0
	}
	return e
}

// pin finds the pinned issuer for a question: engineers only come from the vendor's
// side, approvers and who watches only from the hospital's.
func (p pins) pin(q question) (session.Issuer, error) {
	side, who := session.VendorSide, "an engineer"
	switch q.role {
	case RoleApprove:
		side, who = session.HospitalSide, "an approver"
	case RoleWatch:
		side, who = session.HospitalSide, "somebody who watches"
	}
	for _, i := range p.issuers {
		if i.URL == q.issuer && i.Side == side {
			return i, nil
		}
	}
	return session.Issuer{}, &session.Error{
		Kind:    session.Denied,
		Message: "This identity provider may not name " + who + " here.",
		Next:    "Sign in with the account that the hospital has agreed on.",
		Err:     fmt.Errorf("issuer %.200q", q.issuer),
	}
}

// admits checks the kind of client and the person's groups, and returns the class. That
// groups were left out counts only against whom the wanted one is missing.
func admits(role Role, pin session.Issuer, c idtoken.Claims) (session.ClientClass, error) {
	classes, roles, who := engineerClasses(), []session.Role{session.Engineer}, "engineers"
	switch role {
	case RoleApprove:
		classes, roles, who = approverClasses(), []session.Role{session.Approver}, "approvers"
	case RoleWatch:
		classes, roles, who = approverClasses(), []session.Role{session.Approver, session.Auditor}, "approvers or auditors"
	}
	class, ok := pin.Clients[c.Client]
	if !ok || !slices.Contains(classes, class) {
		return "", refused("The program in which this person signed in cannot be used by "+who+".", "Use sallyport request as an engineer, sallyport approve or sallyport sessions watch at the hospital.")
	}
	var groups []string
	for _, r := range roles {
		groups = append(groups, pin.Group(r))
	}
	if slices.ContainsFunc(groups, func(group string) bool { return slices.Contains(c.Groups, group) }) {
		return class, nil
	}
	if c.Overage {
		return "", denied("The identity provider left the person's groups out of the sign-in token because there are too many.",
			"Ask its administrator to send an application role, or only the groups that Sallyport uses.")
	}
	return "", denied("This person is not one of the "+who+" (group "+strings.Join(groups, " or ")+"); the sign-in token names "+listed(c.Groups)+".",
		"Ask the administrator of the identity provider for the group, then sign in again.")
}

// listed is a person's groups for a sentence.
func listed(groups []string) string {
	if len(groups) == 0 {
		return "no group"
	}
	more := ""
	if n := len(groups) - maxListed; n > 0 {
		groups, more = groups[:maxListed], fmt.Sprintf(" and %d more", n)
	}
	return wording.Line(strings.Join(groups, ", "), MaxReason) + more
}

// sameClock refuses when our clock and the issuer's are known to differ too much.
func sameClock(issuer string, keys *idtoken.KeySet) error {
	skew, known := keys.Skew()
	if !known || skew.Abs() <= idtoken.MaxSkew {
		return nil
	}
	return &session.Error{
		Kind:    session.Refused,
		Message: fmt.Sprintf("The agent's clock and the identity provider's differ by %v.", skew.Abs().Round(time.Second)),
		Next:    "Ask hospital IT to correct the agent's clock.",
		Err:     fmt.Errorf("issuer %.200q, skew %v", issuer, skew),
	}
}

// fits reports whether a receipt is for a role and a document, and whether its token
// was made for exactly these: the nonce is computed once more. The signature is not;
// it was checked when the token came in.
func (r Receipt) fits(role Role, subject [32]byte, nonce func(salt [32]byte) string) bool {
	salt, ok := r.Proof.salt()
	if !ok || r.Role != role || r.Subject != subject || r.Received.IsZero() || r.Person.Sub == "" {
		return false
	}
	token, err := idtoken.Peek(r.Proof.Token)
	return err == nil && token.Nonce == nonce(salt) && token.Issuer == r.Person.Iss
}
