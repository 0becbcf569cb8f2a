package ledger

import (
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// section is one critical section of a session. It is charged in full when it begins, and
// what it did not take is given back when it is over: a crash gives nothing back.
type section struct {
	At    time.Time `json:"at"`
	Until time.Time `json:"until"`
	Ended time.Time `json:"ended,omitzero"`
	Why   string    `json:"why"`
}

// takes is how much of what was granted a section uses up.
func (x section) takes() time.Duration {
	if x.Ended.IsZero() {
		return x.Until.Sub(x.At)
	}
	return min(max(x.Ended.Sub(x.At), 0), x.Until.Sub(x.At))
}

// Critical begins a critical section of a live session: what its grant allows in all, less
// what earlier ones took. The section's end is on disk before Critical returns. It may lie
// behind the session's own, which then ends with the section. There is one at a time, and
// none outlives the process that began it.
func (l *Ledger) Critical(gid session.ID, length time.Duration, why string, now time.Time) (until time.Time, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, err := l.findGrant(gid)
	if err != nil {
		return time.Time{}, err
	}
	if err := e.mayCritical(length, why, now); err != nil {
		return time.Time{}, err
	}
	next := e.rec
	x := section{At: plain(now), Until: plain(now.Add(length)), Why: why}
	next.Sections = append(slices.Clone(next.Sections), x)
	if err := l.write(e, next); err != nil {
		return time.Time{}, err
	}
	e.critical = x.Until
	return x.Until, nil
}

func (e *entry) mayCritical(length time.Duration, why string, now time.Time) error {
	granted := time.Duration(e.granted.Crit) * time.Second
	if err := e.live(now); err != nil {
		return err
	}
	left := granted
	for _, x := range e.rec.Sections {
		left -= x.takes()
	}
	left = max(left, 0).Truncate(time.Second)
	switch {
	case granted == 0 || e.granted.Class != session.Disruptive:
		return denied("The hospital granted no critical section in this session.", "Ask for a session with one: sallyport request new --critical 15m.")
	case !e.critical.IsZero():
		return refused("A critical section of this session is on.", "End it first, with sallyport critical --end.", nil)
	case length < time.Second || !wording.Plain(why) || len(why) < 1 || len(why) > session.MaxCriticalWhy:
		return refused("A critical section has a length, and a reason of one line.", "Say how long it takes, and what for.", nil)
	case length > left:
		return denied(fmt.Sprintf("Of the critical section that was granted, %s in all, %s are left.", granted, left), "Ask for less, or for a new session.")
	case len(e.rec.Sections) >= maxSections:
		return refused("This session had too many critical sections.", "Ask for a new session.", nil)
	}
	return nil
}

// CriticalOver ends a session's critical section. It counts in this process at once; an
// error says that the disk has not taken what it gives back.
func (l *Ledger) CriticalOver(gid session.ID, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, err := l.findGrant(gid)
	if err != nil || e.critical.IsZero() {
		return err
	}
	e.critical = time.Time{}
	if e.shut || e.rec.State != opened {
		return nil
	}
	next := e.rec
	next.Sections = slices.Clone(next.Sections)
	next.Sections[len(next.Sections)-1].Ended = plain(now)
	return l.write(e, next)
}

// overruns reports whether a critical section keeps a session that is past its deadline.
func (e *entry) overruns(now time.Time) bool {
	return !e.shut && e.rec.State == opened && plain(now).Before(e.critical)
}

// checkSections refuses sections that Critical would not have written.
func (e *entry) checkSections() error {
	left := time.Duration(e.granted.Crit) * time.Second
	for _, x := range e.rec.Sections {
		left -= x.takes()
		if !x.Until.After(x.At) || x.At.Before(e.rec.Opened.Add(-maxBackwards)) || !x.At.Before(e.rec.Deadline) || left < 0 {
			return errRecord("a critical section that no grant gives")
		}
	}
	if len(e.rec.Sections) > maxSections {
		return errRecord("too many critical sections")
	}
	return nil
}
