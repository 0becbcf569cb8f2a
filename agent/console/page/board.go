package page

import (
	"fmt"
	"sync"
	"time"
)

// Board is how the hospital's scanners stand at a moment. Times are in the zone in which
// people there read them.
type Board struct {
	Site   string
	Broker bool // can be reached
	Frozen bool // everything is: nothing opens anywhere
	Assets []Asset
	Past   []Past // sessions of today that are over, the last first
}

// Asset is one scanner.
type Asset struct {
	Name, Label string
	Frozen      bool // nothing opens there
	ByName      bool // and it was frozen alone, so it can be thawed alone
	On          []Session
	Could       int // grants that could be opened at any moment
}

// Session is somebody who is connected, or may connect again. Why they came is read from
// the documents that were signed.
type Session struct {
	ID, Service       string
	Who, Company      string
	Reason, WorkOrder string
	Work              string // what they may do, in words
	Opened, Deadline  time.Time
	Connections       int
	Frozen            []string // by what, in words
	Local             bool     // frozen at this agent, too
	Picture           string   // changes with the picture of the screen; empty: there is none
}

// Past is a session that is over.
type Past struct {
	Asset, Who, Company, Reason string
	Opened, Ended               time.Time
	How                         string // why it ended, in words
}

// left is how long something goes on, as people say it.
func left(until, now time.Time) string {
	d := until.Sub(now).Truncate(time.Second)
	switch {
	case d <= 0:
		return "over"
	case d < 5*time.Minute:
		return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
	case d < 90*time.Minute:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
}

// boards makes one board for all who look at the same moment.
type boards struct {
	make func() Board
	now  func() time.Time

	mu   sync.Mutex
	last Board
	at   time.Time
}

// fresh is a board that is no older than wanted.
func (b *boards) fresh(age time.Duration) Board {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now := b.now(); b.at.IsZero() || now.Sub(b.at) >= age || now.Before(b.at) {
		b.last, b.at = b.make(), now
	}
	return b.last
}
