package ledger

import (
	"slices"
	"time"

	"github.com/sallyport/sallyport/session"
)

// maxCauses bounds what can freeze one session at a time.
const maxCauses = 8

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
	if slices.Equal(next.Frozen, e.rec.Frozen) {
		return nil
	}
	return l.write(e, next)
}

func (e *entry) freezable(now time.Time) error {
	switch {
	case e.shut || e.rec.State == closed || e.rec.State == opened && e.left(now) <= 0:
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

// LimitSessions bounds the sessions of one engineer on an asset that are open at a
// time; 0 for no bound. Call it before anything is opened.
func (l *Ledger) LimitSessions(most func(asset string) int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.most = most
}

// room refuses a session that would be one too many of its engineer on its asset.
func (l *Ledger) room(e *entry, now time.Time) error {
	if l.most == nil || e.rec.State != admitted {
		return nil
	}
	most := l.most(e.request.Asset)
	n := 0
	for _, o := range l.entries {
		if o != e && o.request.Asset == e.request.Asset && o.request.Eng == e.request.Eng && o.live(now) == nil {
			n++
		}
	}
	if most > 0 && n >= most {
		return refused("You have as many sessions on "+e.request.Asset+" as the hospital allows at a time.", "End one of them first.", nil)
	}
	return nil
}
