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
