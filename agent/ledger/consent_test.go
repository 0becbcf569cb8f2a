package ledger_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
)

// With what consent a session was opened outlives a restart and a freeze, and no connection
// that joins later changes it.
func TestAConsentStaysWithItsSession(t *testing.T) {
	s := newSite(t)
	l, dir := opened(t)
	a, ticket := s.admitted(t, l)
	given := session.Consented{By: "the operator", How: session.ByCode, At: s.now}
	if !ticket.Consent().IsZero() {
		t.Fatal("a new grant has a consent")
	}
	_, err := l.Begin(ticket.WithConsent(given), s.now)
	must(t, err)
	_, err = l.Begin(ticket.WithConsent(session.Consented{By: "somebody else", How: session.ByPage, At: s.now}), s.now)
	must(t, err)
	must(t, l.Freeze(ticket.ID(), []string{"local"}, s.now))
	l = reopen(t, l, dir)
	again, err := l.Ticket(ticket.ID())
	must(t, err)
	if got := again.Consent(); got.By != given.By || got.How != given.How || !got.At.Equal(given.At) {
		t.Errorf("%+v", got)
	}
	must(t, l.Close())
	path := filepath.Join(dir, a.id.Request()+".json")
	body, err := os.ReadFile(path)
	must(t, err)
	for name, forged := range map[string]string{"how": `"how":"magic"`, "nobody": `"how":""`} {
		bad := strings.Replace(string(body), `"how":"code"`, forged, 1)
		if bad == string(body) {
			t.Fatalf("%s: %s", name, body)
		}
		must(t, os.WriteFile(path, []byte(bad), 0o600))
		if _, err := ledger.Open(dir); err == nil {
			t.Errorf("%s: believed", name)
		}
	}
}

// What was had of an operator outlives a restart, and only grows.
func TestTriesOutliveARestart(t *testing.T) {
	s := newSite(t)
	l, dir := opened(t)
	_, ticket := s.admitted(t, l)
	must(t, l.KeepTries(ticket.ID(), session.Tries{Asked: 2, Wrong: 4}))
	must(t, l.KeepTries(ticket.ID(), session.Tries{Asked: 1, Wrong: 5}))
	if err := l.KeepTries(ticket.ID(), session.Tries{Asked: 1_000_000}); err == nil {
		t.Error("without a bound")
	}
	if err := l.KeepTries(session.NewID(), session.Tries{Asked: 1}); err == nil {
		t.Error("of nothing")
	}
	l = reopen(t, l, dir)
	if got := l.Tries(ticket.ID()); got != (session.Tries{Asked: 2, Wrong: 5}) {
		t.Errorf("%+v", got)
	}
	must(t, l.End(ticket.ID(), session.RevokedGrant, s.now))
	if err := l.KeepTries(ticket.ID(), session.Tries{Asked: 3}); err == nil {
		t.Error("of what is over")
	}
	must(t, l.Close())
}
