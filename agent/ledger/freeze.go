package ledger

import (
	"slices"
	"time"

	"github.com/sallyport/sallyport/session"
)

// Freeze writes down why an open session is frozen, the whole set; an empty one
// thaws it. The causes outlive a restart of the agent.
func (l *Ledger) Freeze(gid session.ID, causes []string, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, err := l.findGrant(gid)
	if err != nil {
		return err
	}
	if err := e.freezable(now); err != nil {
		return err
	}
	next := e.rec
	next.Frozen = slices.Sorted(slices.Values(causes))
	e.cold = e.cold || len(causes) > 0
	if !slices.Equal(next.Frozen, e.rec.Frozen) {
		if err := l.write(e, next); err != nil {
			return err
		}
	}
	e.cold = len(causes) > 0
	return nil
}

func (e *entry) freezable(now time.Time) error {
	switch {
	case e.shut || e.rec.State == closed || e.rec.State == opened && e.left(now) <= 0 && !e.overruns(now):
		return expired("The session is over.", "See what is live with sallyport-agent status.")
	case e.rec.State != opened:
		return refused("The session has not begun.", "Revoke its grant instead.", nil)
	}
	return nil
}

// checkFrozen refuses causes that Freeze would not have written.
func (r record) checkFrozen() error {
	if len(r.Frozen) > maxCauses || len(r.Frozen) > 0 && r.Opened.IsZero() || !slices.IsSorted(r.Frozen) {
		return errRecord("frozen in a way that nobody freezes")
	}
	for i, c := range r.Frozen {
		if !session.ValidName(c) || i > 0 && r.Frozen[i-1] == c {
			return errRecord("frozen for no cause")
		}
	}
	return nil
}
