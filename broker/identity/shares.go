package identity

import (
	"errors"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/lobby"
)

// shares is what one network, or one connection, gets of signing in. It is remembered here,
// of each node, in bounded memory: nothing that somebody unknown does is written to the store.
type shares struct {
	arrivals *lobby.Pace // sign-ins that succeed, by network
	told     *lobby.Pace // outcomes of sign-ins that failed, which are kept for their page, by network
	toldAll  *lobby.Pace // the same, of all
	asking   *lobby.Pace // questions to a provider about a code that was none, by connection
	asks     *lobby.Pace // questions to providers, by network
	spent    *lobby.Pace // sign-ins by browser that came back, by their name: once
}

func newShares() *shares {
	minute := func(n int) time.Duration { return time.Minute / time.Duration(n) }
	return &shares{
		arrivals: lobby.NewPace(minute(perNetwork), perNetwork),
		told:     lobby.NewPace(minute(toldOfNetwork), toldOfNetwork),
		toldAll:  lobby.NewPace(minute(toldOfAll), toldOfAll),
		asking:   lobby.NewPace(time.Second, asksOfCaller),
		asks:     lobby.NewPace(time.Second/asksOfNetwork, 3*asksOfNetwork),
		spent:    lobby.NewPace(roundTripTime, 1),
	}
}

// arrive takes one of a network's sign-ins that succeed.
func (s *shares) arrive(address string, now time.Time) error {
	if s.arrivals.Allow(lobby.NetworkOf(address).String(), now) {
		return nil
	}
	return tooOften(time.Minute / perNetwork)
}

// ask takes one of the questions to an identity provider, of which a connection that asked
// about made-up codes gets few; failed notes that it did.
func (s *shares) ask(v Visit, now time.Time) error {
	if s.asking.Has(v.Conn, now) && s.asks.Allow(lobby.NetworkOf(v.Address).String(), now) {
		return nil
	}
	return tooOften(time.Second)
}

func (s *shares) failed(v Visit, now time.Time) { s.asking.Allow(v.Conn, now) }

func tooOften(wait time.Duration) error {
	return (&session.Error{Kind: session.Refused, Message: "Too many sign-ins in a short time.", Err: ErrTooOften}).WithNext(
		"Wait " + (wait + time.Second).Truncate(time.Second).String() + " and try again.")
}

// ErrTooOften is in the chain when a limit of sign-ins is reached.
var ErrTooOften = errors.New("too many attempts")
