package page

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/lobby"
)

const cookie = "__Host-sallyport-console"

// signIns are who is signed in, in memory alone: a restart signs everybody out.
type signIns struct {
	right func(pin string) (bool, error)
	now   func() time.Time
	turn  chan struct{} // one guess at a time
	each  *lobby.Pace   // wrong guesses, by network
	total *lobby.Pace   // wrong guesses of all, and of this machine

	mu  sync.Mutex
	who map[[32]byte]*signedIn // by hash of the cookie
}

// signedIn is one sign-in.
type signedIn struct {
	since, acted time.Time
	network      string
	who          *Visitor // nil: they know the PIN
	draft        *Draft   // that they read last
	permit       *permit  // to register a passkey; nil: none
}

func newSignIns(right func(pin string) (bool, error), now func() time.Time) *signIns {
	return &signIns{right: right, now: now, turn: make(chan struct{}, 1), each: lobby.NewPace(guessEvery, guessesFromOne),
		total: lobby.NewPace(guessInAll, guessesInAll), who: map[[32]byte]*signedIn{}}
}

// try checks a PIN, of which wrong ones are few for a network and for all.
func (s *signIns) try(ctx context.Context, from netip.Addr, pin string) (token string, err error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	network, whose := lobby.NetworkOf(from.String()).String(), "all"
	if from.IsLoopback() {
		whose = "own"
	}
	if now := s.now(); !s.each.Has(network, now) || !s.total.Has(whose, now) {
		return "", session.Errorf(session.Refused, "The PIN was wrong too often.").WithNext("Wait some minutes. STOP and freeze work all the time.")
	}
	right, err := s.right(pin)
	if err != nil {
		return "", err
	}
	if !right {
		s.each.Allow(network, s.now())
		s.total.Allow(whose, s.now())
		return "", session.Errorf(session.Denied, "That is not the PIN.").WithNext("Try again. STOP and freeze need none.")
	}
	return s.enter(network, nil), nil
}

// enter signs somebody in. A person, a network and all together have so many places, in which
// the one who did nothing for the longest makes room.
func (s *signIns) enter(network string, who *Visitor) string {
	token, now := rand.Text(), s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, v := range s.who {
		if v.over(now) {
			delete(s.who, k)
		}
	}
	s.makeRoom(maxOfOne, func(v *signedIn) bool {
		return who != nil && v.who != nil && v.who.Person.Identity == who.Person.Identity
	})
	s.makeRoom(maxOfNetwork, func(v *signedIn) bool { return v.network == network })
	s.makeRoom(maxSignIns, func(*signedIn) bool { return true })
	s.who[sha256.Sum256([]byte(token))] = &signedIn{since: now, acted: now, network: network, who: who}
	return token
}

// makeRoom keeps fewer than most of a kind. s.mu is held.
func (s *signIns) makeRoom(most int, kind func(*signedIn) bool) {
	n, oldest := 0, [32]byte{}
	for k, v := range s.who {
		if !kind(v) {
			continue
		}
		n++
		if o := s.who[oldest]; o == nil || v.acted.Before(o.acted) {
			oldest = k
		}
	}
	if n >= most {
		delete(s.who, oldest)
	}
}

func (v *signedIn) over(now time.Time) bool {
	return now.Sub(v.acted) >= signedIdle || now.Sub(v.since) >= signedLongest
}

// known reports whether a request comes from somebody who is signed in. An act prolongs
// that, a page that only follows does not.
func (s *signIns) known(r *http.Request, act bool) bool {
	_, _, ok := s.whose(r, act)
	return ok
}

// whose is who signed in, nil for one who knows the PIN, and by which sign-in.
func (s *signIns) whose(r *http.Request, act bool) (who *Visitor, key [32]byte, ok bool) {
	c, err := r.Cookie(cookie)
	if err != nil {
		return nil, key, false
	}
	key = sha256.Sum256([]byte(c.Value))
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.who[key]
	if v == nil || v.over(now) {
		return nil, key, false
	}
	if act {
		v.acted = now
	}
	return v.who, key, true
}

// still reports whether a sign-in goes on.
func (s *signIns) still(key [32]byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.who[key]
	return v != nil && !v.over(s.now())
}

// read keeps the draft that somebody reads; nil asks for the one that they read last.
func (s *signIns) read(key [32]byte, d *Draft) *Draft {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.who[key]
	if v == nil {
		return nil
	}
	if d != nil {
		v.draft = d
	}
	return v.draft
}

func (s *signIns) leave(r *http.Request) {
	if c, err := r.Cookie(cookie); err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.who, sha256.Sum256([]byte(c.Value)))
	}
}
