package ledger_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
)

// Over restarts with the clock set back, a session ends no later, nothing new opens, and
// it is said; a clock that is right again opens.
func TestAClockSetBackOverARestart(t *testing.T) {
	l, dir := opened(t)
	s := newSite(t)
	_, live := s.admitted(t, l)
	_, fresh := s.admitted(t, l)
	_, verified := s.granted(t, l, nil)
	at := l.Moment(s.now)
	facts, err := l.Begin(live, at)
	must(t, err)
	late := s.now.Add(20 * time.Minute)
	if got := l.Moment(late); !got.Equal(late) {
		t.Fatalf("%v, not %v", got, late)
	}
	for _, back := range []time.Duration{time.Hour, 24 * time.Hour, 40 * time.Minute} {
		l = reopen(t, l, dir)
		now := l.Moment(late.Add(-back))
		if now.Before(late) || l.Behind() < back-time.Second {
			t.Fatalf("set back by %v it is %v, which was %v before; behind %v", back, now, late, l.Behind())
		}
		if again, err := l.Begin(live, now); err != nil || !again.Deadline.Equal(facts.Deadline) {
			t.Errorf("the live session: %v, %v", again, err)
		}
		_, err := l.Begin(fresh, now)
		refusedAs(t, err, session.Refused)
		if err == nil || !strings.Contains(err.Error(), "clock") {
			t.Errorf("%v", err)
		}
		_, err = l.Admit(verified, now)
		refusedAs(t, err, session.Refused)
		if l.Moment(facts.Deadline.Add(-back)).Before(late) {
			t.Error("it went back")
		}
	}
	now := l.Moment(late.Add(time.Minute))
	if _, err := l.Begin(fresh, now); err != nil || l.Behind() != 0 {
		t.Errorf("right again: %v, behind %v", err, l.Behind())
	}
	t.Log("ATTACK | the clock is set back over restarts, to prolong a session or open a new one | 0 s longer, 0 opened | 0 s, 0 | holds")
}

// What was seen is on the disk at each admission and opening, now and then, and at the end.
func TestTheHighestTimeIsKept(t *testing.T) {
	l, dir := opened(t)
	s := newSite(t)
	kept := func() string {
		b, _ := os.ReadFile(filepath.Join(dir, ledger.ClockName))
		return string(b)
	}
	l.Moment(s.now)
	if kept() != "" {
		t.Fatal("written for a look")
	}
	_, ticket := s.admitted(t, l)
	admitted := kept()
	l.Moment(s.now.Add(time.Second))
	_, err := l.Begin(ticket, s.now.Add(time.Second))
	must(t, err)
	begun := kept()
	l.Moment(s.now.Add(2 * time.Second))
	must(t, l.KeepTime())
	ticked := kept()
	l.Moment(s.now.Add(3 * time.Second))
	l = reopen(t, l, dir)
	if closed := kept(); admitted == "" || admitted == begun || begun == ticked || ticked == closed {
		t.Errorf("%q %q %q %q", admitted, begun, ticked, closed)
	}
	must(t, l.Close())
	must(t, os.WriteFile(filepath.Join(dir, ledger.ClockName), []byte("{}\n"), 0o600))
	if _, err := ledger.Open(dir); err == nil || !strings.Contains(err.Error(), "clock") {
		t.Errorf("a file that nobody wrote: %v", err)
	}
}
