package ledger

import "time"

// Limits bound the sessions that are live at a time; 0 is no bound. What is written on
// a grant stays good: a session that finds no room may begin when another ends.
type Limits struct {
	Asset    func(asset string) int // of one engineer on an asset; nil: no bound
	Engineer int                    // of one engineer, on all assets of this agent
	Site     int                    // of all engineers together
}

// LimitSessions sets the limits. Call it before anything is opened.
func (l *Ledger) LimitSessions(to Limits) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limits = to
}

// fits refuses a session that would be one too many. l.mu is held from here until the
// session is written down, so that two cannot take one place.
func (l *Ledger) fits(e *entry, now time.Time) error {
	if e.rec.State != admitted {
		return nil
	}
	all, own, here := 0, 0, 0
	for _, o := range l.entries {
		if o == e || o.live(now) != nil {
			continue
		}
		all++
		if o.request.Eng == e.request.Eng {
			own++
			if o.request.Asset == e.request.Asset {
				here++
			}
		}
	}
	most := 0
	if l.limits.Asset != nil {
		most = l.limits.Asset(e.request.Asset)
	}
	switch {
	case full(here, most):
		return refused("You have as many sessions on "+e.request.Asset+" as the hospital allows at a time.", "End one of them first.", nil)
	case full(own, l.limits.Engineer):
		return refused("You have as many sessions at this hospital as it allows one engineer at a time.", "End one of them first.", nil)
	case full(all, l.limits.Site):
		return refused("As many sessions are open at this hospital as it allows at a time.", "Try again when one has ended, or call the hospital.", nil)
	}
	return nil
}

func full(n, most int) bool { return most > 0 && n >= most }
