package exchange_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/passkey"
	"github.com/sallyport/sallyport/session/passkey/passkeytest"
)

const page = "https://console.northfield.example:8443"

// pressed is the scene's approval, by a passkey beside the token or without it, and the key
// as the bundle names it.
func (s *scene) pressed(token bool) (grant.Receipt, session.ConsoleKey) {
	s.t.Helper()
	p, err := passkey.At(page)
	must(s.t, err)
	d := passkeytest.New(p.Host(), page)
	challenge := grant.NewSalt()
	client, attested := d.Register(challenge)
	key, err := p.Register(challenge, client, attested)
	must(s.t, err)
	answer := d.Answer(passkey.Challenge(s.papers.Grant))
	count, err := p.Check(key, passkey.Challenge(s.papers.Grant), answer)
	must(s.t, err)
	r := s.papers.Approvers[0]
	at := r.Received
	if !token {
		r = grant.Receipt{Role: r.Role, Received: at, Person: r.Person, Client: session.Console, Groups: []string{session.GroupApprovers}, IssuedAt: at, AuthTime: at, Subject: r.Subject}
	}
	r.Groups = []string{session.GroupApprovers}
	r.Passkey = &grant.Assertion{Page: p.Origin(), Key: key, Answer: answer, Count: count, At: at}
	return r, session.ConsoleKey{ID: key.ID, Public: key.Public, Host: p.Host(), Owner: r.Person.Identity, Since: start.Add(-time.Hour)}
}

// A pack says by what it was allowed, and its reader needs the bundle alone to check it.
func TestAPackWithAPasskey(t *testing.T) {
	for _, token := range []bool{true, false} {
		s := newScene(t)
		r, key := s.pressed(token)
		s.papers.Approvers[0] = r
		s.close()
		bundle := s.trust()
		bundle.ConsoleKeys = []session.ConsoleKey{key}
		v := verify(t, s.pack(), bundle)
		text := strings.Join(v.Explain(), "\n")
		if v.Result != recordings.VerdictIntact {
			t.Fatalf("%s: %s\n%s", v.Result, v.Reason, text)
		}
		by := ", by a passkey, without signing in."
		if token {
			by = ", by signing in and by a passkey."
		}
		for _, want := range []string{`Who allowed it: "anna@example.org"`, by, "Verified again: the passkey " + key.Name() + ", which the trust bundle names as theirs", page,
			"So is that the owner of a passkey was an approver"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not said in\n%s", want, text)
			}
		}
		if token != strings.Contains(text, "the token of "+hospital) {
			t.Errorf("of the token: %v\n%s", token, text)
		}

		// A bundle that does not name the key leaves it open, and says so.
		bundle.ConsoleKeys = nil
		v = verify(t, s.pack(), bundle)
		if text = strings.Join(v.Explain(), "\n"); v.Result != recordings.VerdictIntact || !strings.Contains(text, "Not verified: no trust bundle names the passkey "+key.Name()) || strings.Contains(text, "Verified again: the passkey") {
			t.Errorf("%s\n%s", v.Result, text)
		}
		bundle.ConsoleKeys, bundle.Issuers = nil, bundle.Issuers[:1] // nor the identity provider
		if text = strings.Join(verify(t, s.pack(), bundle).Explain(), "\n"); !strings.Contains(text, "no trust bundle names the passkey") || token != strings.Contains(text, "no trust bundle names the identity provider") {
			t.Error(text)
		}

		// One that was revoked before, or is another's, makes it a forgery.
		bundle = s.trust()
		key.Until = start
		bundle.ConsoleKeys = []session.ConsoleKey{key}
		named(t, "revoked", verify(t, s.pack(), bundle), "does not hold")
		key.Until, key.Owner.Sub = time.Time{}, "bernd"
		bundle.ConsoleKeys = []session.ConsoleKey{key}
		named(t, "another's", verify(t, s.pack(), bundle), "does not hold")
		s.papers.Approvers[0].Passkey.Answer.Signature[9] ^= 1
		s.close()
		if v := verify(t, s.pack(), s.trust()); v.Result != recordings.VerdictTampered {
			t.Errorf("another answer: %s", v.Result)
		}
	}
}
