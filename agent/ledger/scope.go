package ledger

import (
	"errors"
	"strings"
	"time"

	"github.com/sallyport/sallyport/session"
)

// Scope is what one word at the hospital reaches: an asset, a person, or everything.
// The zero Scope reaches nothing.
type Scope struct {
	Asset    string `json:"asset,omitempty"`
	Engineer string `json:"engineer,omitempty"` // e-mail address or subject: whoever has it, whatever their issuer
	All      bool   `json:"all,omitempty"`
}

// Covers reports whether the scope reaches what somebody may do at an asset.
func (s Scope) Covers(asset string, who session.Person) bool {
	switch {
	case s.All:
		return true
	case s.Asset != "":
		return s.Asset == asset
	}
	return s.Engineer != "" && (strings.EqualFold(s.Engineer, who.Email) || s.Engineer == who.Sub)
}

// CloseWhere closes for good everything that covers names and that is not over:
// requests that wait, so that a later approval opens nothing, grants that nobody
// opened, and sessions. From the first moment on nothing of it opens in this process,
// whatever the disk says; an error says that the disk has not taken all of it, and
// closing again tries again. It returns the requests of those that are closed on disk.
func (l *Ledger) CloseWhere(covers func(asset string, who session.Person) bool, reason session.EndReason, now time.Time) ([]session.ID, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var open []*entry
	for _, e := range l.entries {
		if e.rec.State == closed || !covers(e.request.Asset, e.rec.Engineer.Person) {
			continue
		}
		e.shut = true // also what is over: a clock that is set back opens nothing
		if !e.lapsed(now) {
			open = append(open, e)
		}
	}
	var done []session.ID
	var errs []error
	for _, e := range open {
		if err := l.close(e, reason, now); err != nil {
			errs = append(errs, err)
			continue
		}
		done = append(done, e.rid)
	}
	return done, errors.Join(errs...)
}

// lapsed reports whether an entry that was not closed is over by its time.
func (e *entry) lapsed(now time.Time) bool {
	switch e.rec.State {
	case pending:
		return !now.Before(time.Unix(e.request.EXP, 0))
	case opened:
		return e.left(now) <= 0 && !e.overruns(now)
	}
	return !now.Before(e.end())
}
