package ledger_test

import (
	"errors"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// What a passkey approved is there after a restart, and is admitted, opened and recalled
// as what it was.
func TestAPasskeysApprovalIsKept(t *testing.T) {
	s := newSite(t)
	l, dir := opened(t)
	a := s.ask(t, nil)
	must(t, l.Pend(a.doc, a.receipt))
	g := s.grant(t, a, nil)
	_, err := l.AddApproval(a.id, g, s.press(t, a, g, "anna"))
	must(t, err)
	l = reopen(t, l, dir)
	p, err := l.PendingRequest(a.id)
	must(t, err)
	ticket, err := l.Admit(s.verify(t, a, p.Grant, p.Approvals...), s.now)
	must(t, err)
	_, err = l.Begin(ticket, s.now)
	must(t, err)
	l = reopen(t, l, dir)
	ticket, err = l.Ticket(ticket.ID())
	must(t, err)
	r := ticket.Grant().Approvers()[0]
	if r.Passkey == nil || r.Proof.Token != "" || r.Person.Sub != "anna" || r.Client != session.Console {
		t.Errorf("%+v", r)
	}
	// It is too late for everything at the same time as one by a token.
	must(t, l.End(ticket.ID(), session.Completed, s.now.Add(time.Minute)))
}

// Token and passkey of one person are one approval, across a restart, in either order; the
// same again changes nothing, and what was admitted takes no more.
func TestTokenAndPasskeyOfOnePersonAreKeptAsOne(t *testing.T) {
	for _, tokenFirst := range []bool{true, false} {
		s := newSite(t)
		l, dir := opened(t)
		a := s.ask(t, func(r *grant.Request) { r.Asset = "CT3" })
		must(t, l.Pend(a.doc, a.receipt))
		g := s.grant(t, a, nil)
		halves := []grant.Receipt{s.press(t, a, g, "anna"), s.approve(t, a, g, "anna")}
		if tokenFirst {
			halves[0], halves[1] = halves[1], halves[0]
		}
		have, err := l.AddApproval(a.id, g, halves[0])
		must(t, err)
		if _, err := s.verifier.Verify(a.doc, a.receipt, g, have, s.now); !errors.Is(err, grant.ErrMoreApprovals) {
			t.Fatal("one half opens the door:", err)
		}
		_, err = l.AddApproval(a.id, g, s.approve(t, a, g, "bernd")) // whose passkey never comes
		must(t, err)
		l = reopen(t, l, dir)
		have, err = l.AddApproval(a.id, g, halves[1])
		must(t, err)
		if len(have) != 2 || have[0].Passkey == nil || have[0].Proof.Token == "" || have[1].Person.Sub != "bernd" {
			t.Fatalf("%+v", have)
		}
		again, err := l.AddApproval(a.id, g, halves[0])
		must(t, err)
		ticket, err := l.Admit(s.verify(t, a, g, again...), s.now)
		must(t, err)
		if by := ticket.Grant().Approvers(); len(by) != 1 || by[0].Person.Sub != "anna" {
			t.Errorf("%+v", by)
		}
		if _, err = l.AddApproval(a.id, g, s.press(t, a, g, "bernd")); err == nil {
			t.Error("what was admitted takes another approval")
		}
	}
}
