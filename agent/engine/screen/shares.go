package screen

import (
	"sync"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/held"
)

// room counts the pixels of all consoles, because a device says how large it is: of a
// session, and of a vendor. Their bytes are the agent's, which other protocols share.
type room struct {
	memory   *held.Memory
	mu       sync.Mutex
	all      int
	sessions map[session.ID]int
	vendors  map[string]int
}

func newRoom(m *held.Memory) *room {
	return &room{memory: m, sessions: map[session.ID]int{}, vendors: map[string]int{}}
}

// change gives a console other room than it had, unless one of those whose it is has too
// much then.
func (r *room) change(of *engine.Ticket, was, now int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	more, vendor := now-was, of.Engineer.Iss
	if more > 0 {
		const next = "Close another console first, or set this one to a smaller size."
		switch {
		case r.sessions[of.ID]+more > maxSessionPixels:
			return session.Errorf(session.Refused, "The consoles of this session are too large together.").WithNext(next)
		case r.vendors[vendor]+more > maxVendorPixels:
			return session.Errorf(session.Refused, "Your company has as many consoles open at this hospital as its agent shows.").WithNext(next)
		case r.all+more > maxAllPixels:
			return session.Errorf(session.Refused, "The hospital's agent shows as many consoles as it can.").WithNext(next)
		}
	}
	if err := r.memory.Change(held.Owner{Session: of.ID, Who: of.Engineer.Identity}, was*PixelCost, now*PixelCost); err != nil {
		return err
	}
	r.all += more
	if r.sessions[of.ID] += more; r.sessions[of.ID] == 0 {
		delete(r.sessions, of.ID)
	}
	if r.vendors[vendor] += more; r.vendors[vendor] == 0 {
		delete(r.vendors, vendor)
	}
	return nil
}
