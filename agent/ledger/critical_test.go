package ledger_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// flashing asks for a disruptive session of half an hour with ten minutes of critical sections.
func flashing(r *grant.Request) { r.Class, r.Crit = session.Disruptive, 600 }

// A session has as much of critical sections as was granted, one at a time, and what one
// did not take is there for the next. A restart ends what was on and gives nothing back.
func TestCriticalSectionsAreWhatWasGranted(t *testing.T) {
	s := newSite(t)
	l, dir := opened(t)
	_, v := s.granted(t, l, flashing)
	ticket, err := l.Admit(v, s.now)
	must(t, err)
	id, now := ticket.ID(), s.now
	ask := func(d time.Duration) error { _, err := l.Critical(id, d, "firmware 4.2", now); return err }
	refusedAs(t, ask(time.Minute), session.Refused) // not begun
	facts, err := l.Begin(ticket, now)
	must(t, err)
	refusedAs(t, ask(601*time.Second), session.Denied)
	refusedAs(t, ask(0), session.Refused)
	must(t, ask(8*time.Minute))
	refusedAs(t, ask(time.Second), session.Refused) // one is on
	now = now.Add(3 * time.Minute)
	must(t, l.CriticalOver(id, now))
	must(t, l.CriticalOver(id, now)) // it may be told twice
	refusedAs(t, ask(7*time.Minute+time.Second), session.Denied)

	now = facts.Deadline.Add(-time.Minute)
	must(t, ask(7*time.Minute))
	late := facts.Deadline.Add(5 * time.Minute)
	if f, _ := l.Facts(id); !f.Deadline.Equal(now.Add(7 * time.Minute)) {
		t.Errorf("in the section it ends %s", f.Deadline)
	}
	must(t, l.Freeze(id, []string{"local"}, late)) // a person's freeze is written down past the deadline
	if _, err := l.Begin(ticket, late); session.KindOf(err) != session.Expired {
		t.Errorf("a connection past the deadline: %v", err)
	}
	l = reopen(t, l, dir)
	if f, _ := l.Facts(id); !f.Deadline.Equal(facts.Deadline) {
		t.Errorf("after a restart inside the section it ends %s, not %s", f.Deadline, facts.Deadline)
	}
	refusedAs(t, l.Freeze(id, nil, late), session.Expired)
	now = facts.Deadline.Add(-30 * time.Second)
	refusedAs(t, ask(time.Second), session.Denied) // all of it was taken
}

// Nothing that was not granted is a critical section: no other class, no closed session.
func TestNoCriticalSectionWithoutAGrant(t *testing.T) {
	s := newSite(t)
	l, _ := opened(t)
	for name, change := range map[string]func(*grant.Request){
		"none was asked": func(r *grant.Request) { r.Class = session.Disruptive },
		"observe":        nil,
		"non-disruptive": func(r *grant.Request) { r.Class = session.NonDisruptive },
	} {
		_, v := s.granted(t, l, change)
		ticket, err := l.Admit(v, s.now)
		must(t, err)
		_, err = l.Begin(ticket, s.now)
		must(t, err)
		if _, err = l.Critical(ticket.ID(), time.Second, "firmware", s.now); session.KindOf(err) != session.Denied {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, v := s.granted(t, l, flashing)
	ticket, err := l.Admit(v, s.now)
	must(t, err)
	_, err = l.Begin(ticket, s.now)
	must(t, err)
	for name, why := range map[string]string{"no reason": "", "two lines": "a\nb", "a long one": strings.Repeat("x", 201)} {
		if _, err := l.Critical(ticket.ID(), time.Second, why, s.now); session.KindOf(err) != session.Refused {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, l.End(ticket.ID(), session.KilledLocal, s.now))
	_, err = l.Critical(ticket.ID(), time.Second, "firmware", s.now)
	refusedAs(t, err, session.Expired)
}
