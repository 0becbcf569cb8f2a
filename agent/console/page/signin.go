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

type signedIn struct{ since, acted time.Time }

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
	return s.enter(), nil
}

func (s *signIns) enter() string {
	token, now := rand.Text(), s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	var oldest [32]byte
	for k, v := range s.who {
		if v.over(now) {
			delete(s.who, k)
		} else if o := s.who[oldest]; o == nil || v.acted.Before(o.acted) {
			oldest = k
		}
	}
	if len(s.who) >= maxSignIns {
		delete(s.who, oldest)
	}
	s.who[sha256.Sum256([]byte(token))] = &signedIn{now, now}
	return token
}

func (v *signedIn) over(now time.Time) bool {
	return now.Sub(v.acted) >= signedIdle || now.Sub(v.since) >= signedLongest
}

// known reports whether a request comes from somebody who is signed in. An act prolongs
// that, a page that only follows does not.
func (s *signIns) known(r *http.Request, act bool) bool {
	c, err := r.Cookie(cookie)
	if err != nil {
		return false
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.who[sha256.Sum256([]byte(c.Value))]
	if v == nil || v.over(now) {
		return false
	}
	if act {
		v.acted = now
	}
	return true
}

func (s *signIns) leave(r *http.Request) {
	if c, err := r.Cookie(cookie); err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.who, sha256.Sum256([]byte(c.Value)))
	}
}
