package access_test

import (
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// asked is a report of a session whose operator is asked.
func (w *world) asked(r access.Request, seq uint64) link.SessionReport {
	rep := w.report(r, seq)
	rep.Opened, rep.Deadline = time.Time{}, time.Time{}
	rep.Consent = &link.Consent{Kind: session.ConsentCode, Service: "recon-ssh", Since: w.clock().UTC(), Until: w.clock().Add(5 * time.Minute).UTC()}
	return rep
}

// steps are what the log says of consents.
func (b *book) steps() (all []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.events {
		if e.Event == witness.ConsentAsked {
			all = append(all, e.Details["what"])
		}
	}
	b.events = nil
	return all
}

// A session that waits for the operator is on the board of the hospital and its engineer's
// lists while that lasts, and is no session that anybody had.
func TestASessionAwaitsConsent(t *testing.T) {
	w, b := newAudited(t)
	r, id := w.approved(ada)
	stands := func(what string, state session.State, listed bool) access.Session {
		t.Helper()
		s, err := w.Session(t.Context(), ben, id)
		w.must(err)
		if s.State != state {
			t.Errorf("%s: %s, want %s", what, s.State, state)
		}
		for _, who := range []access.Caller{ada, ben} {
			for _, live := range []bool{true, false} {
				all, _, err := w.Sessions(t.Context(), who, live, access.Stretch{})
				w.must(err)
				if got := slices.ContainsFunc(all, func(x access.Session) bool { return x.ID == id }); got != listed {
					t.Errorf("%s: listed %v, live %v", what, got, live)
				}
			}
		}
		return s
	}
	if _, err := w.Session(t.Context(), ben, id); err == nil {
		t.Error("there is a session before anybody connected")
	}
	rep := w.asked(r, 1)
	w.must(w.ReportSession(t.Context(), "NGH", "main", rep))
	s := stands("asked", session.AwaitingConsent, true)
	if s.Consent == nil || s.Consent.Kind != session.ConsentCode || !s.Consent.Until.Equal(rep.Consent.Until) || !s.Opened.IsZero() || s.Target != "NGH/NGH-PETCT1/recon-ssh" {
		t.Errorf("%+v", s)
	}
	n, err := w.Audience(t.Context(), "request", w.doc(r).RID)
	w.must(err)
	if of := n.For(ben); !slices.Contains(of, access.Subject{Kind: access.AboutSession, ID: id}) {
		t.Errorf("its change is told as one of %v", of)
	}
	assets, _, err := w.Assets(t.Context(), ben, access.Which{}, access.Stretch{})
	w.must(err)
	for _, x := range assets {
		if len(x.Live) != 0 {
			t.Errorf("somebody is on %s", x.Name)
		}
	}
	w.advance(5 * time.Minute)
	stands("nobody answered and its agent says nothing", session.Unopened, false)

	rep = w.asked(r, 2)
	rep.Consent.Wrong = 2
	w.must(w.ReportSession(t.Context(), "NGH", "main", rep))
	w.must(w.ReportSession(t.Context(), "NGH", "main", rep)) // twice is once
	stands("asked again", session.AwaitingConsent, true)
	rep.Seq, rep.Consent.Outcome = 3, session.ConsentNot
	rep.Consent.Answer = session.Consented{By: "the operator\u202e", How: session.ByPage, At: w.clock()}
	w.must(w.ReportSession(t.Context(), "NGH", "main", rep))
	s = stands("refused", session.Unopened, false)
	if s.Consent.Outcome != session.ConsentNot || s.Consent.By == rep.Consent.Answer.By || s.Consent.Wrong != 2 {
		t.Errorf("%+v", s.Consent)
	}

	w.advance(time.Second)
	given := w.report(r, 4) // the only report that came of what happened meanwhile
	given.Consent = w.asked(r, 4).Consent
	given.Consent.Outcome, given.Consent.Answer = session.ConsentGiven, session.Consented{By: "the operator at the scanner", How: session.ByCode, At: w.clock()}
	w.must(w.ReportSession(t.Context(), "NGH", "main", given))
	s = stands("given", session.Live, true)
	if s.Consent.Outcome != session.ConsentGiven || s.Consent.How != session.ByCode {
		t.Errorf("%+v", s.Consent)
	}
	given.Seq, given.Consent = 5, nil // of an agent that was started again
	w.must(w.ReportSession(t.Context(), "NGH", "main", given))
	if s = stands("later", session.Live, true); s.Consent == nil {
		t.Error("it is forgotten who let it open")
	}
	if got, want := b.steps(), []string{"asked", "asked", "wrong-code", "refused", "asked", "given"}; !slices.Equal(got, want) {
		t.Errorf("the log says %v, want %v", got, want)
	}
}

// What is over is not asked about, whatever its agent says.
func TestNobodyAwaitsConsentOfWhatIsOver(t *testing.T) {
	w := newWorld(t)
	r, id := w.approved(ada)
	w.must(w.ReportSession(t.Context(), "NGH", "main", w.asked(r, 1)))
	s, err := w.Kill(t.Context(), ben, id)
	w.must(err)
	if s.State != session.Ended {
		t.Errorf("taken back, it is %s", s.State)
	}
	w.must(w.ReportSession(t.Context(), "NGH", "main", w.asked(r, 2)))
	if s, err = w.Session(t.Context(), ben, id); err != nil || s.State != session.Ended {
		t.Errorf("%s, %v", s.State, err)
	}
	all, _, err := w.Sessions(t.Context(), ben, true, access.Stretch{})
	if w.must(err); len(all) != 0 {
		t.Errorf("listed as %+v", all)
	}
}

func TestAHostileAgentsAskings(t *testing.T) {
	w, b := newAudited(t)
	r, id := w.approved(ada)
	b.steps()
	rep := w.asked(r, 1)
	rep.Consent.Service = "console-vnc"
	w.wants(w.ReportSession(t.Context(), "NGH", "main", rep), session.Invalid, "consent")
	for i := range 300 {
		rep := w.asked(r, uint64(i+1))
		rep.Consent.Since = w.clock().Add(time.Duration(i) * time.Second).UTC()
		rep.Consent.Until = rep.Consent.Since.Add(5 * time.Minute)
		if i%2 == 1 {
			rep.Consent.Outcome, rep.Consent.Wrong = session.ConsentLate, i
		}
		w.must(w.ReportSession(t.Context(), "NGH", "main", rep))
	}
	told := len(b.steps())
	if told != 200 {
		t.Errorf("%d events", told)
	}
	rep = w.asked(r, 1000)
	rep.Consent.Since, rep.Consent.Until = w.clock().Add(-1000*time.Hour), w.clock().Add(1000*time.Hour)
	w.must(w.ReportSession(t.Context(), "NGH", "main", rep))
	w.advance(time.Hour)
	s, err := w.Session(t.Context(), ben, id)
	w.must(err)
	if s.State == session.AwaitingConsent || !s.Opened.IsZero() {
		t.Errorf("it is %s for ever", s.State)
	}
	t.Logf("ATTACK | an agent reports askings, wrong codes and consents without end | at most 200 events of one session, and nothing waits for ever | %d | holds", told)
}
