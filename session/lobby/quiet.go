package lobby

import (
	"sync/atomic"
	"time"
)

// Quiet keeps a log readable while strangers knock: of lines of one kind it lets some
// through, then one a minute, and counts those that it holds back. Safe for concurrent use.
type Quiet struct {
	pace *Pace
	held atomic.Int64
}

// NewQuiet makes one for one kind of line.
func NewQuiet() *Quiet { return &Quiet{pace: NewPace(time.Minute, loudAtFirst)} }

// Says reports whether a line is written, and how many were held back since the last.
func (q *Quiet) Says(now time.Time) (held int64, ok bool) {
	if !q.pace.Allow("", now) {
		q.held.Add(1)
		return 0, false
	}
	return q.held.Swap(0), true
}
