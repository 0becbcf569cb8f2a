package engine

import (
	"iter"
	"net"

	"github.com/sallyport/sallyport/session"
)

// part is whose a connection, or a stream of a browser, is once a key was proven on it.
type part struct {
	who   session.Identity
	asset string
}

// fits refuses one more part where its engineer, vendor or asset has its share of all.
func (p part) fits(all iter.Seq[part]) error {
	own, vendor, asset, n := 0, 0, 0, 0
	for o := range all {
		n++
		if o.who.Iss == p.who.Iss {
			vendor++
		}
		if o.who == p.who {
			own++
		}
		if o.asset == p.asset {
			asset++
		}
	}
	switch {
	case own >= maxPerEngineer:
		return session.Errorf(session.Refused, "You have %d connections open.", own).WithNext("Close some of them first.")
	case vendor >= maxPerVendor:
		return session.Errorf(session.Refused, "Your company has %d connections open at this hospital.", vendor).WithNext("Have your colleagues close some of them first.")
	case asset >= maxPerAsset:
		return session.Errorf(session.Refused, "%.64s has %d connections already.", p.asset, asset).WithNext("Try again when somebody has closed one.")
	case n >= maxTotal:
		return session.Errorf(session.Refused, "The hospital's agent has too many connections.").WithNext("Try again in a moment.")
	}
	return nil
}

// connected are the connections of all sessions. It is called with e.mu held.
func (e *Engine) connected(yield func(part) bool) {
	for _, s := range e.sessions {
		for range s.connections() {
			if !yield(part{s.person.Identity, s.asset}) {
				return
			}
		}
	}
}

// attached are the streams of browsers that have proven a key. It is called with e.mu held.
func (e *Engine) attached(yield func(part) bool) {
	for _, p := range e.browsers {
		if p != (part{}) && !yield(p) {
			return
		}
	}
}

// stranger gives a stream its place until a key is proven on it; without one it has to
// go. The person is the broker's word: good enough to keep one's strangers from being
// everybody's, and for nothing else.
func (e *Engine) stranger(v Visit, nc net.Conn) (Visit, bool) {
	from := v.By.Iss + " " + v.By.Sub
	place, ok := e.strangers.EnterAs(from, func() { go nc.Close() }) // its goodbye may have to wait
	v.place = place
	return v, ok
}
