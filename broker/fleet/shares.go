package fleet

import (
	"sync"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// seat is whose part of an agent's streams a stream takes; a seat without a subject is
// a vendor's.
type seat struct {
	agent name
	who   session.Identity
}

// sit counts a stream in with whoever asks for it, until leave is called, so that one
// person or one vendor never holds all of an agent's streams. The agent bounds by what
// people prove to it; here whoever has proven nothing to it is bounded before it is asked.
func (f *Fleet) sit(n name, o link.Open) (leave func(), err error) {
	if o.By == (session.Identity{}) { // the broker itself
		return func() {}, nil
	}
	own, vendor := seat{n, o.By}, seat{n, session.Identity{Iss: o.By.Iss}}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.seats[own] >= maxStreamsOf:
		return nil, session.Errorf(session.Refused, "You have %d connections to %s.", f.seats[own], n.site).WithNext("Close some of them first.")
	case f.seats[vendor] >= maxStreamsVendor:
		return nil, session.Errorf(session.Refused, "Your company has %d connections to %s.", f.seats[vendor], n.site).WithNext("Have your colleagues close some of them first.")
	}
	f.seats[own]++
	f.seats[vendor]++
	return sync.OnceFunc(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, s := range []seat{own, vendor} {
			if f.seats[s]--; f.seats[s] == 0 {
				delete(f.seats, s)
			}
		}
	}), nil
}
