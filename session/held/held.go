// Package held bounds bytes that wait in memory for somebody who is slow, or for what comes
// before them: of one session, and of all sessions of an agent together.
package held

import (
	"sync"

	"github.com/sallyport/sallyport/session"
)

// Budget is what all may hold. Safe for concurrent use.
type Budget struct {
	each, most int

	mu  sync.Mutex
	all int
	of  map[session.ID]int
}

// New makes a budget of which one session has each at most.
func New(each, most int) *Budget {
	return &Budget{each: each, most: most, of: map[session.ID]int{}}
}

// By is what one session may hold.
func (b *Budget) By(id session.ID) *Share { return &Share{b, id} }

// Share is one session's part of what is held.
type Share struct {
	of *Budget
	id session.ID
}

// Take counts n bytes more, which have to be given back: all where it is full then.
func (s *Share) Take(n int) {
	b := s.of
	b.mu.Lock()
	defer b.mu.Unlock()
	b.of[s.id] += n
	b.all += n
}

// Full reports whether the session, or all together, hold more than they may.
func (s *Share) Full() bool {
	b := s.of
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.of[s.id] > b.each || b.all > b.most
}

// Give gives n bytes back.
func (s *Share) Give(n int) {
	if n == 0 {
		return
	}
	b := s.of
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all -= n
	if b.of[s.id] -= n; b.of[s.id] == 0 {
		delete(b.of, s.id)
	}
}
