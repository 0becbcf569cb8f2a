package mpps

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
)

// steps are the procedure steps of an asset that are in progress, and what the asset's state
// is by them. Safe for concurrent use.
type steps struct {
	mu     sync.Mutex
	open   map[[sha256.Size]byte]time.Time // by the hash of their UIDs, which name an examination
	last   string                          // what is said when none is open
	state  session.ModalityState           // and the state then
	change chan struct{}                   // holds one: something changed
}

// newSteps knows nothing: what was in progress when the agent started it has not heard, so
// somebody has to look.
func newSteps() *steps {
	return &steps{open: map[[sha256.Size]byte]time.Time{}, change: make(chan struct{}, 1),
		state: session.PatientOnTable, last: "no procedure was reported since the agent listens"}
}

// report takes what a scanner says of a step, and returns DIMSE's status.
func (s *steps) report(created bool, uid string, is status, now time.Time) uint16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := sha256.Sum256([]byte(uid))
	switch {
	case is == inProgress:
		if _, known := s.open[key]; !known && len(s.open) == maxOpen {
			return tooMany // there are others: it is scanning
		} else if !known {
			s.open[key] = now
		}
	case created: // nothing begins with its end
		s.unread(now)
		return invalidAttribute
	case is == unsaid: // something else was added to it
		return success
	default:
		delete(s.open, key)
		s.state, s.last = session.PatientOnTable, "a procedure ended at "+clock(now)+"; nobody has looked since"
	}
	s.changed()
	return success
}

// unreadable notes a message that nobody could read: it may have been the beginning of a scan.
func (s *steps) unreadable(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unread(now)
}

func (s *steps) unread(now time.Time) {
	s.state, s.last = session.PatientOnTable, "a message came at "+clock(now)+" that cannot be read"
	s.changed()
}

func (s *steps) changed() {
	select {
	case s.change <- struct{}{}:
	default:
	}
}

// now is the asset's state.
func (s *steps) now(now time.Time) (session.ModalityState, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var first time.Time
	for key, began := range s.open {
		if now.Sub(began) > longestStep {
			delete(s.open, key)
			s.state, s.last = session.PatientOnTable, "a procedure that began at "+clock(began)+" was never reported as ended"
		} else if first.IsZero() || began.Before(first) {
			first = began
		}
	}
	if n := len(s.open); n > 0 {
		return session.Scanning, fmt.Sprintf("a procedure is in progress since %s (%d)", clock(first), n)
	}
	return s.state, s.last
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05 MST") }

// newUID names a step whose scanner left that to us.
func newUID() string {
	var id [16]byte
	_, _ = rand.Read(id[:])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	n := new(big.Int).SetUint64(binary.BigEndian.Uint64(id[:8]))
	n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(binary.BigEndian.Uint64(id[8:])))
	return "2.25." + n.String()
}
