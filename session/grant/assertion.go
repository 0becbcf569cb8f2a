package grant

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/passkey"
)

// Assertion is what a passkey of the agent's own page said to a grant: its challenge is the
// hash of the grant's exact bytes. All that is needed to check it again is in it.
type Assertion struct {
	Page   string         `json:"page"`   // where, as browsers write it
	Key    passkey.Key    `json:"key"`    // as it was known before
	Answer passkey.Answer `json:"answer"` //
	Count  uint32         `json:"count"`  // how far it has counted since
	At     time.Time      `json:"at"`
}

// ParseAssertion reads the bytes that Bytes made, and no others.
func ParseAssertion(b []byte) (*Assertion, error) {
	a := &Assertion{}
	if err := decode(b, session.MaxAssertion, a); err != nil {
		return nil, unreadable("passkey's answer", err)
	}
	if !bytes.Equal(a.Bytes(), b) {
		return nil, unreadable("passkey's answer", errors.New("not in canonical form"))
	}
	return a, nil
}

// Bytes is the assertion as it is told and kept.
func (a *Assertion) Bytes() []byte {
	b, _ := json.Marshal(a) // of strings, numbers and a time, which is the agent's own
	return b
}

// Name is the passkey's name in lists and evidence.
func (a *Assertion) Name() string { return session.ConsoleKey{ID: a.Key.ID}.Name() }

// Check checks once more that the key that was kept answered to this grant. Whose key it is, and
// that it counts, others say.
func (a *Assertion) Check(grantDoc []byte) error {
	page, err := passkey.At(a.Page)
	if err != nil {
		return err
	}
	count, err := page.Check(a.Key, passkey.Challenge(grantDoc), a.Answer)
	if err == nil && (count != a.Count || page.Origin() != a.Page || a.At.IsZero()) {
		err = fmt.Errorf("the passkey did not say what was kept of it")
	}
	return err
}

func (a *Assertion) clone() *Assertion {
	if a == nil {
		return nil
	}
	c := *a
	c.Key.ID, c.Key.Public = bytes.Clone(a.Key.ID), bytes.Clone(a.Key.Public)
	c.Answer = passkey.Answer{ID: bytes.Clone(a.Answer.ID), ClientData: bytes.Clone(a.Answer.ClientData),
		Authenticator: bytes.Clone(a.Answer.Authenticator), Signature: bytes.Clone(a.Answer.Signature)}
	return &c
}
