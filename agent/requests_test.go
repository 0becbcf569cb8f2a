package agent

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// What the agent's page shows of a request is what its engineer signed, until it is decided:
// then it is no longer among what an approval could open.
func TestWhatWaitsForTheHospitalIsShownAsItWasSigned(t *testing.T) {
	s := newSite(t)
	d := s.deliveries(t, quickDir(t))
	t.Cleanup(func() { must(t, d.ledger.Close()) })
	assets := []Asset{{Name: "CT"}, {Name: "MR", Policy: Policy{Zone: "Europe/Berlin"}}}
	ask := func(asset, reason string) ([]byte, func(who string)) {
		r := grant.NewRequest()
		r.Site, r.Asset, r.Services, r.Class, r.Channels = "NGH", asset, []string{"ssh"}, session.NonDisruptive, []session.Channel{session.Shell}
		r.NBF, r.EXP, r.MaxS, r.Eng = s.now.Unix(), s.now.Add(4*time.Hour).Unix(), 1800, s.engineer("eva")
		r.Key, r.Reason, r.Ref = newKey(), reason, "WO-7"
		in := s.request(t, r, "eva")
		if v := d.deliver(t.Context(), in); !v.OK {
			t.Fatalf("request: %s", v.Message)
		}
		_, doc := s.grantOf(t, r, in.Request)
		return in.Request, func(who string) {
			if v := d.deliver(t.Context(), s.approval(in, doc, who)); !v.OK {
				t.Fatalf("approval: %s", v.Message)
			}
		}
	}
	_, first := ask("CT", "Tube arcs")
	if words := criticalOf(ledger.Entry{Why: ledger.Why{Critical: 90 * time.Second}}); len(words) != 1 || !strings.Contains(words[0], "critical sections of at most 90 s in all") {
		t.Errorf("a critical section reads %q", words)
	}
	s.now = s.now.Add(time.Minute)
	_, second := ask("MR", "Coil")
	seen := func() string {
		var b strings.Builder
		for _, r := range requested(d.ledger.Entries(s.now), assets, s.verifier.Needed) {
			b.WriteString(strings.Join([]string{r.Asset, r.Who, r.Reason, r.WorkOrder, r.Work, r.When, r.Signed, r.Approved}, "|") + "\n")
		}
		return b.String()
	}
	for _, want := range []string{
		"CT|", "|Tube arcs", "|WO-7|", "use a command shell on CT/ssh", "For 30 min at the most, between 4 Mar 05:06 and 4 Mar 09:06.",
		"05:06, on the engineer's own machine: the broker could not stand in for them.", "Approved by nobody yet; 1 needed.", "Approved by nobody yet; 2 needed.",
		"between 4 Mar 06:07 and 4 Mar 10:07.", "They may copy no files.",
	} {
		if !strings.Contains(seen(), want) {
			t.Errorf("%q is not shown in\n%s", want, seen())
		}
	}
	if strings.Index(seen(), "CT|") > strings.Index(seen(), "MR|") {
		t.Errorf("shown as\n%s", seen())
	}
	first("anna")
	second("anna")
	if got := seen(); strings.Contains(got, "CT|") || !strings.Contains(got, "Approved by anna at ") {
		t.Errorf("after one approval each:\n%s", got)
	}
	s.now = s.now.Add(5 * time.Hour)
	if got := seen(); got != "" {
		t.Errorf("too late for everything, and still shown:\n%s", got)
	}
}
