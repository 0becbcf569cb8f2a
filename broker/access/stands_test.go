package access_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/interlock"
)

// stand is how people are shown that a scanner stands.
func (w *world) stand(name string) access.AssetState {
	w.t.Helper()
	all, _, err := w.Assets(w.t.Context(), ben, access.Which{Site: "NGH", Name: name}, access.Stretch{})
	w.must(err)
	if len(all) != 1 {
		w.t.Fatalf("%d scanners %s", len(all), name)
	}
	return all[0].Standing
}

func (w *world) tell(name string, s *session.Standing) {
	w.t.Helper()
	w.must(w.ReportStandings(w.t.Context(), "NGH", "main", []session.AssetStanding{{Asset: name, Standing: s}}))
}

func TestHowAScannerStandsIsShown(t *testing.T) {
	w := newWorld(t)
	if s := w.stand("NGH-CT2"); s.Interlock != "unknown" || s.State != session.ModalityUnknown || s.Why != "its agent has not said yet" {
		t.Errorf("before anything was told: %+v", s)
	}
	w.tell("NGH-CT2", nil)
	if s := w.stand("NGH-CT2"); s.Interlock != "none" || s.Why != "" {
		t.Errorf("without sources: %+v", s)
	}
	is := session.Standing{State: session.ModalityIdle, Source: "operator", Detail: "set by Tom", At: w.clock(), Since: w.clock(), Until: w.clock().Add(time.Hour),
		Works: interlock.Rules{session.NonDisruptive: {session.InService}}}
	w.tell("NGH-PETCT1", &is)
	s := w.stand("NGH-PETCT1")
	if s.Interlock != "on" || s.State != session.ModalityIdle || s.Last != "" || s.Source != "operator" || s.Detail != "set by Tom" || !s.At.Equal(is.At) || !s.Until.Equal(is.Until) {
		t.Errorf("idle: %+v", s)
	}
	if !slices.Equal(s.Works.Observe, interlock.Works(session.Observe)) || !slices.Equal(s.Works.NonDisruptive, []session.ModalityState{session.InService}) ||
		!slices.Equal(s.Works.Disruptive, interlock.Works(session.Disruptive)) {
		t.Errorf("works: %+v", s.Works)
	}
	w.must(w.Announce(t.Context(), w.agent.Hello("NGH-PETCT1", "NGH-CT2"))) // by another node
	if again := w.stand("NGH-PETCT1"); again.State != session.ModalityIdle {
		t.Errorf("announced again: %+v", again)
	}
	w.now.Add(int64(time.Hour))
	if s := w.stand("NGH-PETCT1"); s.State != session.ModalityUnknown || s.Last != session.ModalityIdle || s.Why != "its time is over" {
		t.Errorf("after its time: %+v", s)
	}
}

// What an agent may say of times and rules widens nothing that is shown.
func TestAnAgentsWordOnAScannerIsDoubted(t *testing.T) {
	w := newWorld(t)
	now := w.clock()
	for name, is := range map[string]session.Standing{
		"said ahead":   {State: session.InService, Source: "operator", At: now.Add(time.Hour)},
		"since ahead":  {State: session.InService, Source: "operator", At: now, Since: now.Add(time.Hour)},
		"until ahead":  {State: session.InService, Source: "operator", At: now, Until: now.Add(48 * time.Hour)},
		"a far year":   {State: session.InService, Source: "operator", At: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)},
		"an old probe": {State: session.ModalityIdle, Source: "probe", At: now.Add(-time.Hour)},
	} {
		w.tell("NGH-PETCT1", &is)
		if s := w.stand("NGH-PETCT1"); s.State != session.ModalityUnknown || s.Last != is.State || s.Why == "" {
			t.Errorf("%s: %+v", name, s)
		}
	}
	w.tell("NGH-PETCT1", &session.Standing{State: session.ModalityIdle, Source: "operator", At: now, Works: interlock.Rules{session.Disruptive: session.ModalityStates()}})
	if s := w.stand("NGH-PETCT1"); s.State != session.ModalityIdle || !slices.Equal(s.Works.Disruptive, []session.ModalityState{session.InService}) {
		t.Errorf("wider rules: %+v", s)
	}
	w.agent.SetOnline(false)
	if s := w.stand("NGH-PETCT1"); s.State != session.ModalityUnknown || s.Last != session.ModalityIdle || s.Why != "its agent is not connected" {
		t.Errorf("away: %+v", s)
	}
	w.tell("NGH-PETCT1", nil)
	if s := w.stand("NGH-PETCT1"); s.Interlock != "unknown" || !strings.Contains(s.Why, "no interlock") {
		t.Errorf("away without sources: %+v", s)
	}
}

// An agent speaks of the scanners that it announced, and of no other agent's.
func TestAnAgentSpeaksOfItsOwnScanners(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	other := &accesstest.Agents{Site: "NGH", Name: "other", Needed: 1, Now: w.clock}
	w.must(w.Announce(ctx, other.Hello("NGH-MR3")))
	w.tell("NGH-PETCT1", &session.Standing{State: session.Scanning, Source: "mpps", At: w.clock()})
	free := &session.Standing{State: session.InService, Source: "operator", At: w.clock()}
	w.must(w.ReportStandings(ctx, "NGH", "other", []session.AssetStanding{{Asset: "NGH-PETCT1", Standing: free}, {Asset: "ngh-petct1", Standing: free}, {Asset: "NGH-MR3", Standing: free}, {Asset: "NGH-NONE", Standing: free}}))
	if s := w.stand("NGH-PETCT1"); s.State != session.Scanning {
		t.Errorf("another agent's word counts: %+v", s)
	}
	if s := w.stand("NGH-MR3"); s.Last != session.InService && s.State != session.InService {
		t.Errorf("its own does not: %+v", s)
	}
}

// What is only said again is written down from time to time, not each minute for each scanner.
func TestAWordThatIsSaidAgainIsNoNews(t *testing.T) {
	w := newWorld(t)
	is := session.Standing{State: session.ModalityIdle, Source: "probe", At: w.clock(), Since: w.clock(), Works: interlock.Rules{session.Observe: {session.InService}}}
	w.tell("NGH-PETCT1", &is)
	first := is.At
	for _, c := range []struct {
		later time.Duration
		state session.ModalityState
		at    time.Duration // after the first
	}{{time.Minute, session.ModalityIdle, 0}, {10 * time.Minute, session.ModalityIdle, 10 * time.Minute}, {11 * time.Minute, session.PatientOnTable, 11 * time.Minute}} {
		next := is
		next.State, next.At = c.state, first.Add(c.later)
		w.tell("NGH-PETCT1", &next)
		if s := w.stand("NGH-PETCT1"); !s.At.Equal(first.Add(c.at)) {
			t.Errorf("said again after %v, it is of %v", c.later, s.At.Sub(first))
		}
	}
}
