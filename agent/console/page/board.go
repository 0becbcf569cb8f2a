package page

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
)

// Board is how the hospital's scanners stand at a moment. Times are in the zone in which
// people there read them.
type Board struct {
	Site     string
	Broker   bool // can be reached
	Frozen   bool // everything is: nothing opens anywhere
	Assets   []Asset
	Waits    []Waiting // for the operator's consent, the oldest first
	Requests []Request // for the hospital's approval, the oldest first
	Past     []Past    // sessions of today that are over, the last first
}

// Asset is one scanner.
type Asset struct {
	Name, Label string
	Frozen      bool // nothing opens there
	ByName      bool // and it was frozen alone, so it can be thawed alone
	On          []Session
	State       *State // what the scanner does for its patients; nil: nothing here knows, and nothing is stopped by it
	Could       int    // grants that could be opened at any moment
}

// State is what a scanner does for its patients, and whose word that is.
type State struct {
	Is     session.ModalityState
	Says   string    // whose word, with what they add
	Shut   string    // why nothing opens, whatever it does: what the key switch says
	At     time.Time // when it was said last; zero: never
	Until  time.Time // when it stops to hold, if nobody says it again; zero: that is not known
	Switch bool      // the operator's switch is asked
	Holds  []Hold    // for how long what it permits can hold; the usual one is marked
}

// Choices are what people at the scanner can say of it, what restricts most first.
func (State) Choices() []Choice {
	return []Choice{
		{session.Scanning, "Scanning"}, {session.PatientOnTable, "Patient on table"}, {session.ModalityIdle, "Idle"},
		{session.InService, "In service"}, {session.Down, "Down"},
	}
}

// Choice is a state as a button.
type Choice struct {
	Is    session.ModalityState
	Words string
}

// Loosens reports whether a state restricts less than how the scanner stands now: then
// somebody has to have signed in to say it.
func (s State) Loosens(to session.ModalityState) bool {
	all := session.ModalityStates()
	at, now := slices.Index(all, to), slices.Index(all, s.Is)
	return at < 0 || now < 0 || at < now
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
	Thaws             bool     // can be thawed here, as a session
	Critical          *Critical
	Picture           string // changes with the picture of the screen; empty: there is none
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

// ago is how long something is past, as people say it.
func ago(at, now time.Time) string {
	switch d := now.Sub(at); {
	case d < 10*time.Second:
		return "just now"
	case d < time.Minute:
		return "less than a minute ago"
	case d < 90*time.Minute:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	default:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	}
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
