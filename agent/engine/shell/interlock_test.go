package shell

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/interlock"
)

// state is how the world's scanner stands.
type state struct {
	w   *world
	now atomic.Value
}

func (w *world) stands(first session.ModalityState) *state {
	s := &state{w: w}
	s.now.Store(first)
	w.modality = func() session.ModalityState { return s.now.Load().(session.ModalityState) }
	return s
}

func (s *state) become(to session.ModalityState) {
	s.now.Store(to)
	s.w.engine.ModalityChanged("NGH-PETCT1")
}

// notes are those of a kind on all recordings.
func (w *world) notes(kind session.NoteKind, holds func(session.Note) bool) (n int) {
	w.mu.Lock()
	tapes := slices.Clone(w.tapes)
	w.mu.Unlock()
	for _, r := range tapes {
		for _, note := range documents[session.Note](w.t, r, session.Marker) {
			if note.Kind == kind && holds(note) {
				n++
			}
		}
	}
	return n
}

// Random states of a scanner while two connections type without end: in a state in which
// their class does not work nothing more reaches the device, and nothing does after it
// until somebody lifts the freeze by hand.
func TestNoInputReachesADeviceWhoseStateForbidsIt(t *testing.T) {
	o := newOracle(t)
	w := newWorld(t, o.dial)
	s := w.stands(session.ModalityIdle)
	signer, p := w.grant(all()...)
	var typing sync.WaitGroup
	for i := range byte(2) {
		ch, reqs, err := w.mustConnect(signer).OpenChannel("session", nil)
		must(t, err)
		go gossh.DiscardRequests(reqs)
		go func() {
			b := make([]byte, 32<<10)
			for _, err := ch.Read(b); err == nil; _, err = ch.Read(b) {
			}
		}()
		if ok, err := ch.SendRequest("shell", true, nil); err != nil || !ok {
			t.Fatal(ok, err)
		}
		own := rand.New(rand.NewPCG(7, uint64(i)))
		typing.Go(func() { typist(ch, 'a'+i, own) })
	}
	r, steps, freezes, worst := rand.New(rand.NewPCG(1, 2)), 0, 0, time.Duration(0)
	for freezes < 6 {
		to := session.ModalityStates()[r.IntN(6)]
		works := interlock.Rules(nil).Permit(p.Class, to, session.Shell) == interlock.Allowed
		steps++
		if works {
			s.become(to)
			more := w.onRecord().String()
			w.until("typing goes on", func() bool { return w.onRecord().String() != more })
			continue
		}
		began, marks := time.Now(), w.notes(session.NoteFrozen, byInterlock)
		s.become(to)
		if live := w.engine.Live(); len(live) != 1 || !slices.Equal(live[0].Frozen, []string{engine.CauseInterlock}) {
			t.Fatalf("%s: %+v", to, live)
		}
		w.until("the freeze is on record", func() bool { return w.notes(session.NoteFrozen, byInterlock) > marks })
		worst = max(worst, time.Since(began))
		frozen := w.onRecord()
		w.until("the device has all that was sent", func() bool { return o.reachedDevice().String() == frozen.String() })
		still := func(when string) {
			t.Helper()
			c, err := w.connect(signer) // somebody comes, and is answered
			must(t, err)
			must(t, c.Close())
			if got := o.reachedDevice().String(); got != frozen.String() || w.onRecord().String() != frozen.String() {
				t.Fatalf("%s: the device had %v, and now %v", when, frozen, got)
			}
		}
		still("in " + string(to))
		if _, err := w.engine.Thaw(p.ID, engine.CauseInterlock, "Tom"); session.KindOf(err) != session.Refused {
			t.Fatalf("lifted in %s: %v", to, err)
		}
		if _, err := w.engine.Thaw(p.ID, "broker", "Mallory"); err == nil {
			t.Fatal("the broker lifts it")
		}
		still("after attempts to lift it in " + string(to))
		s.become(session.ModalityIdle)
		still("idle again, and nobody has lifted it")
		if left, err := w.engine.Thaw(p.ID, engine.CauseInterlock, "Tom"); err != nil || len(left) > 0 {
			t.Fatalf("%v, %v", left, err)
		}
		more := w.onRecord().String()
		w.until("typing goes on", func() bool { return w.onRecord().String() != more })
		freezes++
	}
	must(t, w.engine.End(p.ID, session.KilledLocal, "Tom"))
	typing.Wait()
	t.Logf("ATTACK | two connections type on while the scanner's state forbids it, %d changes of state | 0 bytes at the device, stopped within 1 s | 0 in %d freezes, slowest %s | holds", steps, freezes, worst.Round(time.Millisecond))
}

func byInterlock(n session.Note) bool {
	return n.Cause == engine.CauseInterlock && strings.HasPrefix(n.Text, "Frozen")
}

// A session that comes while the scanner's state forbids it is told why, and comes again.
func TestNothingOpensWhereTheStateForbidsIt(t *testing.T) {
	t.Parallel()
	o := newOracle(t)
	w := newWorld(t, o.dial)
	s := w.stands(session.PatientOnTable)
	signer, p := w.grant(all()...)
	_, err := w.mustConnect(signer).NewSession()
	if err == nil || !strings.Contains(err.Error(), "with a patient on the table (the operator): a session of class non-disruptive does not work there now. Wait, or call the hospital.") {
		t.Errorf("the engineer read %v", err)
	}
	if requests, input := o.seen(); len(requests)+len(input) > 0 || len(w.engine.Live()) > 0 {
		t.Errorf("the device got %v, %q", requests, input)
	}
	s.become(session.ModalityIdle)
	sess, err := w.mustConnect(signer).NewSession()
	must(t, err)
	if err := sess.Run("exit 0"); err != nil {
		t.Errorf("idle again: %v", err)
	}
	if n := w.notes(session.NoteModality, func(n session.Note) bool { return n.State == session.ModalityIdle && n.By == "the operator" }); n == 0 {
		t.Error("the recording does not say how the scanner stood")
	}
	must(t, w.engine.End(p.ID, session.KilledLocal, "Tom"))
}

// A state that is forbidden over a restart holds the sessions that are taken up again.
func TestASessionIsTakenUpAsTheStateIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newOracle(t).dial)
	w.stands(session.Scanning)
	now := time.Now()
	w.engine.Resume([]engine.Resumed{{ID: session.NewID(), Request: "R-x", Asset: "NGH-PETCT1", Service: "recon-ssh", Class: session.NonDisruptive,
		Facts: session.SessionFacts{Opened: now.Add(-time.Minute), Deadline: now.Add(time.Hour)}}})
	if live := w.engine.Live(); len(live) != 1 || !slices.Equal(live[0].Frozen, []string{engine.CauseInterlock}) {
		t.Errorf("%+v", live)
	}
}
