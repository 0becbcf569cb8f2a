// Package held bounds what is held in memory for somebody: bytes that wait for who is slow, or
// for what comes before them, and what is large. Each session, person and vendor has a share
// of what all sessions of an agent hold together.
package held

import (
	"sync"

	"github.com/sallyport/sallyport/session"
)

// Owner is whose something is: a session's and its engineer's, whose vendor is the issuer.
// What waits for somebody who watches is theirs.
type Owner struct {
	Session session.ID
	Who     session.Identity
}

// bounds are how much each may hold, and all together.
type bounds struct{ session, person, vendor, all int }

// sharesOf is a person's and a vendor's part of what all may hold.
func sharesOf(each, most int) bounds {
	return bounds{each, most * personParts / allParts, most * vendorParts / allParts, most}
}

// tally is what is held, by whose it is.
type tally struct {
	all      int
	sessions map[session.ID]int
	people   map[session.Identity]int // a vendor's are under its issuer alone
}

func newTally() tally {
	return tally{sessions: map[session.ID]int{}, people: map[session.Identity]int{}}
}

// whose is who has too much with so much more.
type whose int

const (
	nobodys whose = iota
	sessions
	persons
	vendors
	everybodys
)

func (t *tally) over(o Owner, more int, b bounds) whose {
	switch {
	case t.sessions[o.Session]+more > b.session:
		return sessions
	case t.people[o.Who]+more > b.person:
		return persons
	case t.people[session.Identity{Iss: o.Who.Iss}]+more > b.vendor:
		return vendors
	case t.all+more > b.all:
		return everybodys
	}
	return nobodys
}

func (t *tally) add(o Owner, n int) {
	t.all += n
	add(t.sessions, o.Session, n)
	add(t.people, o.Who, n)
	if vendor := (session.Identity{Iss: o.Who.Iss}); vendor != o.Who {
		add(t.people, vendor, n)
	}
}

func add[K comparable](to map[K]int, k K, n int) {
	if to[k] += n; to[k] == 0 {
		delete(to, k)
	}
}

// Budget is how many bytes may wait for all. Safe for concurrent use.
type Budget struct {
	most bounds

	mu sync.Mutex
	tally
}

// New makes a budget of which one session has each at most, and a person and a vendor their
// part of the whole.
func New(each, most int) *Budget { return &Budget{most: sharesOf(each, most), tally: newTally()} }

// By is what waits for one owner.
func (b *Budget) By(o Owner) *Share { return &Share{b, o} }

// Share is one owner's part of what is held.
type Share struct {
	of    *Budget
	owner Owner
}

// Take counts n bytes more, which have to be given back: all where it is full then.
func (s *Share) Take(n int) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.of.add(s.owner, n)
}

// Full reports whether the session, its person, their vendor, or all together, hold more
// than they may.
func (s *Share) Full() bool {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	return s.of.over(s.owner, 0, s.of.most) != nobodys
}

// Give gives n bytes back.
func (s *Share) Give(n int) {
	if n == 0 {
		return
	}
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.of.add(s.owner, -n)
}
