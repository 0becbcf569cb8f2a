package ledger

import (
	"slices"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// forget deletes what is over and can come to nothing any more, so that a ledger does not
// grow for ever: its window, its session and its proofs have been over for keepOver, by
// the time that is on the disk. No clock gets below that time, so each of its documents
// comes too late if it comes again. A clock that jumps ahead makes nobody forget at once:
// until that is done all proofs are too old by any clock. It is called with mu held.
func (l *Ledger) forget() error {
	seen := l.clock.kept
	if seen.IsZero() {
		return nil
	}
	dropped := 0
	for _, e := range l.entries {
		switch {
		case e.unsure || !e.spent() || seen.Before(e.last().Add(keepOver)):
			e.noticed = time.Time{}
		case e.noticed.IsZero():
			e.noticed = time.Now()
		case time.Since(e.noticed) >= forgetAfter && dropped < forgetMost:
			if err := l.disk.remove(e.rid.Request() + suffix); err != nil {
				return internal("The ledger cannot be tidied.", err)
			}
			l.drop(e)
			dropped++
		}
	}
	return nil
}

// spent reports whether an entry is closed, or was never opened; of a session the end is
// written down first.
func (e *entry) spent() bool { return e.rec.State != opened }

// last is the end of all that could be made of an entry's documents.
func (e *entry) last() time.Time {
	last := time.Unix(max(e.request.EXP, e.granted.EXP), 0)
	proofs := []time.Time{e.rec.Engineer.Received}
	for _, a := range e.rec.Approvals {
		proofs = append(proofs, a.Received)
	}
	for _, at := range proofs {
		last = later(last, at.Add(grant.MaxTokenAge))
	}
	return later(later(last, e.rec.Deadline), e.rec.Closed)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// drop takes an entry out of memory.
func (l *Ledger) drop(e *entry) {
	delete(l.entries, e.rid)
	delete(l.grants, e.gid)
	for key, rids := range l.keys {
		left := slices.DeleteFunc(rids, func(rid session.ID) bool { return rid == e.rid })
		if l.keys[key] = left; len(left) == 0 {
			delete(l.keys, key)
		}
	}
}
