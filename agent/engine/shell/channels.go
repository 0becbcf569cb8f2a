package shell

import (
	"sync"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/held"
)

// channels are what runs on one connection: shells, commands, transfers.
type channels[T relaying] struct {
	mu      sync.Mutex
	count   int // open, or being opened
	running map[T]struct{}
	device  *device
	over    bool
	last    session.Note // what was said when it was over; for who comes late
}

// relaying is something that passes on what a device says.
type relaying interface {
	comparable
	Relayed() <-chan struct{} // closed when all of it has been passed on
}

// take counts a channel in, unless there are too many; give counts it out.
func (c *channels[T]) take() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count >= maxChannels {
		return false
	}
	c.count++
	return true
}

func (c *channels[T]) give() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count--
}

// add takes what begins to run; false, with what was said last, when nothing may.
func (c *channels[T]) add(r T) (last session.Note, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return c.last, false
	}
	if c.running == nil {
		c.running = map[T]struct{}{}
	}
	c.running[r] = struct{}{}
	return session.Note{}, true
}

func (c *channels[T]) remove(r T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.running, r)
}

func (c *channels[T]) all() []T {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.list()
}

func (c *channels[T]) list() []T {
	out := make([]T, 0, len(c.running))
	for r := range c.running {
		out = append(out, r)
	}
	return out
}

// end lets nothing begin any more and returns what runs.
func (c *channels[T]) end(last session.Note) []T {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over, c.last = true, last
	return c.list()
}

// join takes the device on which everything runs.
func (c *channels[T]) join(d *device) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.device = d
}

// drain waits until all that the device said has been passed on.
func (c *channels[T]) drain() {
	for _, r := range c.all() {
		<-r.Relayed()
	}
}

// whoLeft is the reason for a connection that nobody ended. An engineer's client goes as
// soon as it hears that the device went, and is often faster than we are.
func (c *channels[T]) whoLeft() session.EndReason {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.device != nil {
		select {
		case <-c.device.hung:
			return session.DeviceClosed
		default:
		}
	}
	return session.Completed
}

// tally counts the channels of all connections, because each holds up to what x/crypto
// lets wait in it, either way: of a session, of a person over all of theirs, and of a vendor.
type tally struct {
	memory *held.Memory // the agent's

	mu       sync.Mutex
	all      int
	sessions map[session.ID]int
	people   map[session.Identity]int // a vendor's are under its issuer alone
}

func newTally(m *held.Memory) tally {
	return tally{memory: m, sessions: map[session.ID]int{}, people: map[session.Identity]int{}}
}

// ownerOf is whose it is what a ticket's session holds.
func ownerOf(of *engine.Ticket) held.Owner {
	return held.Owner{Session: of.ID, Who: of.Engineer.Identity}
}

// take counts a channel in, unless one of those whose it is has too many; give counts it out.
// Its error says whose share is full.
func (t *tally) take(of *engine.Ticket) error {
	who := of.Engineer.Identity
	vendor := session.Identity{Iss: who.Iss}
	t.mu.Lock()
	defer t.mu.Unlock()
	full := ""
	switch {
	case t.sessions[of.ID] >= maxSessionChannels:
		full = "This session has"
	case t.people[who] >= maxPersonChannels:
		full = "Your sessions have"
	case t.people[vendor] >= maxVendorChannels:
		full = "The sessions of your company have"
	case t.all >= maxAllChannels:
		full = "The sessions at this agent have"
	}
	if full != "" {
		return session.Errorf(session.Refused, "%s too many shells and transfers open.", full).WithNext("Close some of them, or try again when others have.")
	}
	if err := t.memory.Change(ownerOf(of), 0, channelCost); err != nil {
		return err
	}
	t.sessions[of.ID]++
	t.people[who]++
	t.people[vendor]++
	t.all++
	return nil
}

func (t *tally) give(of *engine.Ticket) {
	who := of.Engineer.Identity
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = t.memory.Change(ownerOf(of), channelCost, 0) // less is always given
	t.all--
	if t.sessions[of.ID]--; t.sessions[of.ID] == 0 {
		delete(t.sessions, of.ID)
	}
	for _, p := range []session.Identity{who, {Iss: who.Iss}} {
		if t.people[p]--; t.people[p] == 0 {
			delete(t.people, p)
		}
	}
}
