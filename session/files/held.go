package files

import (
	"sync"

	"github.com/sallyport/sallyport/session"
)

// Held bounds the bytes that transfers hold for want of those before them: of one
// session, and of all sessions of an agent together. Safe for concurrent use.
type Held struct {
	mu  sync.Mutex
	all int
	of  map[session.ID]int
}

// NewHeld is for all sessions of an agent.
func NewHeld() *Held { return &Held{of: map[session.ID]int{}} }

// By is what one session may hold.
func (h *Held) By(id session.ID) *Share { return &Share{h, id} }

// Share is one session's part of what is held.
type Share struct {
	held *Held
	id   session.ID
}

// take counts n bytes more, which have to be given back: all where it is full then.
func (s *Share) take(n int) {
	h := s.held
	h.mu.Lock()
	defer h.mu.Unlock()
	h.of[s.id] += n
	h.all += n
}

// full reports whether the session, or all together, hold more than they may.
func (s *Share) full() bool {
	h := s.held
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.of[s.id] > maxHeldSession || h.all > maxHeld
}

func (s *Share) give(n int) {
	if n == 0 {
		return
	}
	h := s.held
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all -= n
	if h.of[s.id] -= n; h.of[s.id] == 0 {
		delete(h.of, s.id)
	}
}
