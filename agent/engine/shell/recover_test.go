package shell

import (
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session"
)

// A kill that comes while the agent stops is final all the same: the ledger knows of
// it before whoever killed is answered.
func TestAKillCountsWhileTheAgentStops(t *testing.T) {
	t.Parallel()
	o := newOracle(t)
	w := newWorld(t, o.dial)
	signer, p := w.grant(all()...)
	running(t, w.mustConnect(signer))
	w.engine.Close() // whoever watches the session is gone
	must(t, w.engine.End(p.ID, session.KilledLocal, "operator"))
	if reason := w.rights.reason(p.ID); reason != session.KilledLocal {
		t.Errorf("the ledger says %q: the session would be resumed", reason)
	}
}

// Both at once, many times: an end that was answered with success is in the ledger.
func TestAKillAndAStopAtOnce(t *testing.T) {
	t.Parallel()
	for range 50 {
		w := newWorld(t, nil)
		old := engine.Resumed{ID: session.NewID(), Facts: session.SessionFacts{Opened: time.Now(), Deadline: time.Now().Add(time.Hour)}}
		w.engine.Resume([]engine.Resumed{old})
		answered := make(chan error, 1)
		go func() { answered <- w.engine.End(old.ID, session.KilledLocal, "operator") }()
		w.engine.Close()
		must(t, <-answered)
		if reason := w.rights.reason(old.ID); reason != session.KilledLocal {
			t.Fatalf("the ledger says %q", reason)
		}
	}
}

// A session whose deadline passed while the agent was away ended then, not when the
// agent came back.
func TestADeadlineThatPassedWhileAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	deadline := time.Now().Add(-time.Hour)
	old := engine.Resumed{ID: session.NewID(), Facts: session.SessionFacts{Opened: deadline.Add(-time.Minute), Deadline: deadline}}
	w.engine.Resume([]engine.Resumed{old})
	w.until("the end is reported", func() bool { return w.lastReport().Reason == session.OutOfTime })
	if r := w.lastReport(); !r.Ended.Equal(deadline) {
		t.Errorf("reported to have ended at %s, the deadline was %s", r.Ended, deadline)
	}
	old.Facts.Deadline = time.Now().Add(time.Hour)
	w.until("it is forgotten, so it can be resumed", func() bool {
		w.engine.Resume([]engine.Resumed{old})
		return len(w.engine.Live()) == 1
	})
}

// A resumed session does not live without the broker for longer than the grace.
func TestAResumedSessionNeedsTheBroker(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.engine.LinkState(false, time.Now().Add(-time.Minute+time.Second))
	old := engine.Resumed{ID: session.NewID(), Facts: session.SessionFacts{Opened: time.Now(), Deadline: time.Now().Add(time.Hour)}}
	w.engine.Resume([]engine.Resumed{old})
	w.until("it ends", func() bool { return w.rights.reason(old.ID) == session.LinkLost })
}

// Two hundred visits leave nothing behind: no descriptor, no goroutine, no session.
func TestVisitsLeaveNothingBehind(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	signer, _ := w.grant(all()...)
	visit := func() {
		c, err := w.connect(signer)
		must(t, err)
		s, err := c.NewSession()
		must(t, err)
		must(t, s.Run("true"))
		must(t, c.Close())
	}
	visit()
	w.until("the first one is gone", func() bool { return w.connections() == 0 })
	files, routines := descriptors(t), runtime.NumGoroutine()
	for range 200 {
		visit()
	}
	w.until("all are gone", func() bool { return w.connections() == 0 })
	w.until("descriptors and goroutines are given back", func() bool {
		return descriptors(t) <= files+2 && runtime.NumGoroutine() <= routines+4
	})
}

func (w *world) connections() int {
	n := 0
	for _, s := range w.engine.Live() {
		n += s.Connections
	}
	return n
}

// descriptors counts this process's open files.
func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(open)
}
