package held

import (
	"sync"

	"github.com/sallyport/sallyport/session"
)

// Owner is whose something large is: a session's and its engineer's, whose vendor is the issuer.
type Owner struct {
	Session session.ID
	Who     session.Identity
}

// Memory is what all sessions of an agent may hold of what is large, whatever that is: each
// kind has bounds of its own beside, which together are more than an agent has. It is asked
// when something opens or changes its size. What narrows or ends never asks. Safe for
// concurrent use.
type Memory struct {
	most int

	mu       sync.Mutex
	all      int
	sessions map[session.ID]int
	people   map[session.Identity]int // a vendor's are under its issuer alone
}

// NewMemory makes one of so many bytes.
func NewMemory(most int) *Memory {
	return &Memory{most: most, sessions: map[session.ID]int{}, people: map[session.Identity]int{}}
}

// Change gives something other room than it had, unless one of those whose it is has too
// much then; less is always given.
func (m *Memory) Change(o Owner, was, now int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	more, vendor := now-was, session.Identity{Iss: o.Who.Iss}
	if more > 0 {
		const next = "Close a console, a shell or a transfer first, or set the console to a smaller size."
		switch {
		case m.sessions[o.Session]+more > m.most*sessionParts/allParts:
			return session.Errorf(session.Refused, "This session holds as much of the agent's memory as one may.").WithNext(next)
		case m.people[o.Who]+more > m.most*personParts/allParts:
			return session.Errorf(session.Refused, "Your sessions hold as much of the agent's memory as one person's may.").WithNext(next)
		case m.people[vendor]+more > m.most*vendorParts/allParts:
			return session.Errorf(session.Refused, "Your company holds as much of the agent's memory as one may.").WithNext("Have your colleagues close a console, a shell or a transfer first.")
		case m.all+more > m.most:
			return session.Errorf(session.Refused, "The hospital's agent has no memory left for this.").WithNext("Try again when somebody has closed a console or a shell.")
		}
	}
	m.all += more
	add(m.sessions, o.Session, more)
	add(m.people, o.Who, more)
	add(m.people, vendor, more)
	return nil
}

func add[K comparable](to map[K]int, k K, n int) {
	if to[k] += n; to[k] == 0 {
		delete(to, k)
	}
}
