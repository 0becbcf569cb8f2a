package ledger_test

import (
	"testing"

	"github.com/sallyport/sallyport/session/grant"
)

// What somebody approved here is told once more when they add the other half, and a half of
// somebody else that never became whole is no approval that was given here.
func TestHalvesThatWereGivenHere(t *testing.T) {
	s := newSite(t)
	l, dir := opened(t)
	a := s.ask(t, func(r *grant.Request) { r.Asset = "CT3" })
	must(t, l.Pend(a.doc, a.receipt))
	g := s.grant(t, a, nil)
	_, err := l.ApproveHere(a.id, g, s.approve(t, a, g, "anna"))
	must(t, err)
	owed, err := l.Owed()
	if err != nil || len(owed) != 1 || owed[0].Approvals[0].Passkey != nil {
		t.Fatalf("%+v, %v", owed, err)
	}
	must(t, l.Told(owed[0]))
	_, err = l.ApproveHere(a.id, g, s.approve(t, a, g, "bernd")) // whose passkey never comes
	must(t, err)
	have, err := l.ApproveHere(a.id, g, s.press(t, a, g, "anna"))
	must(t, err)
	_, err = l.Admit(s.verify(t, a, g, have...), s.now)
	must(t, err)
	l = reopen(t, l, dir)
	owed, err = l.Owed()
	if err != nil || len(owed) != 1 || owed[0].By.Sub != "anna" || owed[0].Approvals[0].Passkey == nil || !owed[0].Admitted {
		t.Errorf("%+v, %v", owed, err)
	}
}
