package grant

import (
	"bytes"
	"slices"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/passkey"
)

// Registered is a passkey as an agent keeps it. Its owner is who signed in by the identity
// provider when it was registered, with the groups that they had.
type Registered struct {
	Key    passkey.Key    `json:"key"`
	Person session.Person `json:"person"`
	Groups []string       `json:"groups"`
	Since  time.Time      `json:"since"`
}

// Keyring finds a passkey that is registered and not revoked.
type Keyring interface {
	Find(id []byte) (Registered, bool)
}

// CheckPasskey checks a grant and what a passkey of the agent's page answered to it, as
// CheckApproval checks a token. Only the page may call it: what comes over the broker's
// link is a token or nothing. How far the key has counted is the keyring's to keep, before
// the receipt counts for anything.
func (v *Verifier) CheckPasskey(requestDoc []byte, engineer Receipt, grantDoc []byte, a passkey.Answer, now time.Time) (Grant, Receipt, error) {
	set, err := v.documents(requestDoc, engineer, grantDoc, now)
	if err != nil {
		return Grant{}, Receipt{}, err
	}
	if !v.assets[set.grant.Asset].Policy.ConsoleKeys.Used() {
		return Grant{}, Receipt{}, refused(set.grant.Asset+" counts no passkeys.", "Approve by signing in.")
	}
	known, ok := v.keyring.Find(a.ID)
	if !ok {
		return Grant{}, Receipt{}, denied("This passkey is not registered here, or it was revoked.", "Register it on this page, after signing in.")
	}
	count, err := v.page.Check(known.Key, passkey.Challenge(set.grantDoc), a)
	if err != nil {
		return Grant{}, Receipt{}, err
	}
	if err := v.owns(known); err != nil {
		return Grant{}, Receipt{}, err
	}
	at := now.Round(0).UTC()
	r := Receipt{
		Role: RoleApprove, Received: at, Person: known.Person, Client: session.Console, Groups: slices.Clone(known.Groups),
		IssuedAt: at, AuthTime: at, Subject: set.gh,
		Passkey: (&Assertion{Page: v.page.Origin(), Key: known.Key, Answer: a, Count: count, At: at}).clone(),
	}
	if err := v.approver(set, r); err != nil {
		return Grant{}, Receipt{}, err
	}
	return set.grant, r, nil
}

// Owns checks that the owner of a passkey may approve here today.
func (v *Verifier) Owns(known Registered) error { return v.owns(known) }

// owns checks that the owner of a passkey may approve today: their identity provider is
// the hospital's, and its group for approvers is among those they had.
func (v *Verifier) owns(known Registered) error {
	pin, err := v.pins.pin(question{role: RoleApprove, issuer: known.Person.Iss})
	if err != nil {
		return err
	}
	if group := pin.Group(session.Approver); !slices.Contains(known.Groups, group) {
		return denied("The owner of this passkey was not one of the approvers (group "+group+") when it was registered.",
			"Ask the administrator of the identity provider for the group, then register it again.")
	}
	return nil
}

// counting are the approvals whose proof is what the asset asks for, by a passkey that is
// still registered to the same person.
func (v *Verifier) counting(asset string, approvals []Receipt) []Receipt {
	var whole []Receipt
	for _, a := range approvals {
		token, key := a.Proof.Token != "", v.holds(a)
		switch v.assets[asset].Policy.ConsoleKeys {
		case session.KeysInstead:
			token = token || key
		case session.KeysBoth:
			token = token && key
		}
		if token {
			whole = append(whole, a)
		}
	}
	return whole
}

// holds reports whether an approval stands on a passkey that counts now.
func (v *Verifier) holds(a Receipt) bool {
	if a.Passkey == nil || v.keyring == nil || a.Passkey.Page != v.page.Origin() {
		return false
	}
	known, ok := v.keyring.Find(a.Passkey.Key.ID)
	return ok && known.Person.Identity == a.Person.Identity && bytes.Equal(known.Key.Public, a.Passkey.Key.Public) && v.owns(known) == nil
}

// proves reports whether a receipt's proofs are for this grant, whichever it has: a token, a
// passkey's answer, or both. One that has none proves nothing.
func (s documentSet) proves(a Receipt) bool {
	token := a.Proof.Token != ""
	switch {
	case token && !a.fits(RoleApprove, s.gh, s.approveNonce):
		return false
	case a.Passkey == nil:
		return token
	case !token && (a.Client != session.Console || !a.Received.Equal(a.Passkey.At) || len(a.Proof.Salt)+len(a.Key) > 0 || a.KeyID != ""):
		return false
	}
	return a.Role == RoleApprove && a.Subject == s.gh && a.Person.Sub != "" && a.Passkey.Check(s.grantDoc) == nil
}

// With is an approval with what the same person gave beside it for the same grant; false
// where that adds nothing. A person stays one approver, by however many proofs.
func (r Receipt) With(o Receipt) (Receipt, bool) {
	switch {
	case r.Role != RoleApprove || o.Role != RoleApprove || r.Subject != o.Subject || r.Person.Identity != o.Person.Identity:
		return r, false
	case r.Proof.Token == "" && o.Proof.Token != "":
		key := r.Passkey
		if r = o.clone(); r.Passkey == nil {
			r.Passkey = key.clone()
		}
		return r, true
	case o.Passkey != nil && (r.Passkey == nil || !bytes.Equal(r.Passkey.Key.ID, o.Passkey.Key.ID)):
		r = r.clone()
		r.Passkey = o.Passkey.clone()
		return r, true
	}
	return r, false
}
