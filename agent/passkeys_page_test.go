package agent

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/agent/console/page"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/passkey"
	"github.com/sallyport/sallyport/session/passkey/passkeytest"
)

// keyDesk is a desk at whose CT passkeys count, and anna's.
func (s *site) keyDesk(t *testing.T, count session.ConsoleKeys) (passkeys, *passkeytest.Device) {
	t.Helper()
	p := passkeys{s.desk(t)}
	p.a.cfg.State, p.a.cfg.Console = quickDir(t), page.Settings{Listen: "10.40.1.5:8443", Host: "console.ngh.example"}
	p.a.ring = p.a.cfg.keyring()
	rules := *p.a.rules.Load()
	rules.Issuers, rules.Console = s.policy.Issuers, p.a.cfg.Console
	rules.Assets[0].Policy.ConsoleKeys = count
	p.a.rules.Store(&rules)
	policy := s.policy
	ct := policy.Assets["CT"]
	ct.Policy.ConsoleKeys = count
	policy.Assets["CT"] = ct
	policy.Keyring = p.a.ring
	var err error
	policy.Page, err = p.a.cfg.Console.Passkeys()
	must(t, err)
	p.a.deliveries.Load().verifier, err = grant.NewVerifier(policy, s.keys)
	must(t, err)
	d := passkeytest.New(policy.Page.Host(), policy.Page.Origin())
	challenge := grant.NewSalt()
	client, attested := d.Register(challenge)
	who := grant.Visit{Person: s.visitor("anna").Person, Approver: true, Groups: []string{"staff", session.GroupApprovers}}
	k, err := p.Register(who, challenge, client, attested)
	must(t, err)
	if kept, ok := p.a.ring.Find(k.ID); !ok || len(kept.Groups) != 1 {
		t.Errorf("kept as %+v", kept)
	}
	return p, d
}

// A passkey alone opens the door where it may, counts once, and the broker is told by what.
func TestAPasskeyAtTheDesk(t *testing.T) {
	s := newSite(t)
	p, d := s.keyDesk(t, session.KeysInstead)
	id, in := s.ask(t, p.a.deliveries.Load(), "CT")
	anna := s.visitor("anna")
	x, err := p.Draft(id, grant.Less{MaxS: 600}, anna)
	must(t, err)
	if !x.ByKey || !x.ByToken || x.Both || len(x.Keys) != 1 {
		t.Errorf("%+v", x.Proofs)
	}

	// What the broker brings is no passkey's answer, however it is wrapped.
	answer := d.Answer(passkey.Challenge(x.Grant))
	text, err := json.Marshal(answer)
	must(t, err)
	salt := grant.NewSalt()
	if v := p.a.deliveries.Load().deliver(t.Context(), link.Deliver{Kind: link.DeliverApproval, Request: in.Request, Grant: x.Grant, Token: string(text), Salt: salt[:]}); v.OK {
		t.Fatalf("%+v", v)
	}
	if _, err := p.Press(t.Context(), x, s.visitor("bernd"), answer); session.KindOf(err) != session.Denied {
		t.Errorf("under another's name: %v", err)
	}
	if _, err := p.Press(t.Context(), x, anna, answer); session.KindOf(err) != session.Denied {
		t.Errorf("an answer that was used: %v", err)
	}
	o, err := p.Press(t.Context(), x, anna, d.Answer(passkey.Challenge(x.Grant)))
	must(t, err)
	if o.Title != "Approved and admitted" {
		t.Errorf("%+v", o)
	}
	owed, err := toTell(p.decisions).owed()
	must(t, err)
	if len(owed) != 1 || owed[0].Token != "" || !saysOf(owed[0], x.Grant) || !owed[0].Admitted {
		t.Errorf("%+v", owed)
	}
}

// Where both are asked for, neither alone opens anything, and what is left is offered.
func saysOf(a link.Answer, doc []byte) bool {
	said, err := grant.ParseAssertion(a.Passkey)
	return err == nil && said.Check(doc) == nil
}

func TestTokenAndPasskeyAtTheDesk(t *testing.T) {
	s := newSite(t)
	p, d := s.keyDesk(t, session.KeysBoth)
	id, _ := s.ask(t, p.a.deliveries.Load(), "CT")
	anna := s.visitor("anna")
	x, err := p.Draft(id, grant.Less{}, anna)
	must(t, err)
	if o, err := p.Approve(t.Context(), x, anna, s.signs(x, "anna")); err != nil || !strings.HasPrefix(o.Text, "0 of 1") {
		t.Fatalf("%+v %v", o, err)
	}
	if x, err = p.Draft(id, grant.Less{}, anna); err != nil || x.ByToken || !x.ByKey || !x.Both {
		t.Fatalf("%+v %v", x, err)
	}
	if o, err := p.Press(t.Context(), x, anna, d.Answer(passkey.Challenge(x.Grant))); err != nil || o.Title != "Approved and admitted" {
		t.Errorf("%+v %v", o, err)
	}
}

// Who signs in by a passkey is its owner, until it is revoked.
func TestWhoComesByAPasskey(t *testing.T) {
	s := newSite(t)
	p, d := s.keyDesk(t, session.KeysInstead)
	c := [32]byte{9}
	who, err := p.Enter(c, d.Answer(c))
	if err != nil || who.Person != s.visitor("anna").Person || !who.Approves || who.Key == "" {
		t.Fatalf("%+v %v", who, err)
	}
	if err := p.Revoke(who.Key, s.visitor("bernd").Person.Identity); session.KindOf(err) != session.Invalid {
		t.Errorf("by somebody else: %v", err)
	}
	must(t, p.Revoke(who.Key, who.Person.Identity))
	if _, err := p.Enter(c, d.Answer(c)); session.KindOf(err) != session.Denied {
		t.Errorf("revoked: %v", err)
	}
}
