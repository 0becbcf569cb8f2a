package grant

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/passkey"
)

// ErrNoKey is in the chain of a Finding's error when the bundle names no such passkey:
// what it said is then neither right nor wrong.
var ErrNoKey = errors.New("the trust bundle does not name this passkey")

// Open reports whether a finding leaves something open that the bundle does not say,
// rather than that something is wrong.
func (f Finding) Open() bool {
	return f.Err != nil && (errors.Is(f.Err, ErrNotPinned) || errors.Is(f.Err, ErrNoKey))
}

// auditKey checks a passkey's answer with the key that the bundle names, and that it was
// its owner's to use. That the owner had the group then is the agent's word.
func auditKey(t session.Trust, grantDoc []byte, a Receipt) error {
	owner, err := bundled(t.ConsoleKeys, grantDoc, a.Passkey)
	switch {
	case errors.Is(err, ErrNoKey):
		return err
	case err == nil && owner != a.Person.Identity:
		err = fmt.Errorf("the passkey is another person's")
	}
	hospital := slices.ContainsFunc(t.Issuers, func(i session.Issuer) bool {
		return i.URL == a.Person.Iss && i.Side == session.HospitalSide && slices.Contains(a.Groups, i.Group(session.Approver))
	})
	if err == nil && !hospital {
		err = fmt.Errorf("the passkey's owner is not one of the hospital's approvers")
	}
	return err
}

// bundled checks a passkey's answer to a grant with the key that a trust bundle names, and
// returns whose it is.
func bundled(keys []session.ConsoleKey, grantDoc []byte, a *Assertion) (owner session.Identity, err error) {
	i := slices.IndexFunc(keys, func(k session.ConsoleKey) bool { return bytes.Equal(k.ID, a.Key.ID) })
	if i < 0 {
		return owner, ErrNoKey
	}
	known := keys[i]
	page, err := passkey.At(a.Page)
	switch {
	case err != nil:
		return owner, err
	case !bytes.Equal(known.Public, a.Key.Public):
		return owner, fmt.Errorf("the passkey has another public key in the trust bundle")
	case known.Host != page.Host():
		return owner, fmt.Errorf("the passkey belongs to another page")
	case !known.Counts(a.At):
		return owner, fmt.Errorf("the passkey did not count on %s", a.At.UTC().Format("2006-01-02 15:04 UTC"))
	}
	return known.Owner, a.Check(grantDoc)
}

// worse is the error that says more against an approval: what is wrong before what is open.
func worse(a, b error) error {
	open := Finding{Err: a}.Open()
	switch {
	case a == nil || b != nil && open && !(Finding{Err: b}).Open():
		return b
	case b != nil && open:
		return errors.Join(a, b)
	}
	return a
}
