package held

import (
	"sync"

	"github.com/sallyport/sallyport/session"
)

// Memory is what all sessions of an agent may hold of what is large: consoles, channels,
// terminals that are drawn. Each kind has bounds of its own beside, which together are more
// than an agent has. It is asked when something opens or changes its size. What narrows or
// ends never asks. Safe for concurrent use.
type Memory struct {
	most bounds

	mu sync.Mutex
	tally
}

// NewMemory makes one of so many bytes.
func NewMemory(most int) *Memory {
	return &Memory{most: sharesOf(most*sessionParts/allParts, most), tally: newTally()}
}

// Change gives something other room than it had, unless one of those whose it is has too
// much then; less is always given.
func (m *Memory) Change(o Owner, was, now int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	more := now - was
	if more > 0 {
		const next = "Close a console, a shell or a transfer first, or set the console to a smaller size."
		switch m.over(o, more, m.most) {
		case sessions:
			return session.Errorf(session.Refused, "This session holds as much of the agent's memory as one may.").WithNext(next)
		case persons:
			return session.Errorf(session.Refused, "Your sessions hold as much of the agent's memory as one person's may.").WithNext(next)
		case vendors:
			return session.Errorf(session.Refused, "Your company holds as much of the agent's memory as one may.").WithNext("Have your colleagues close a console, a shell or a transfer first.")
		case everybodys:
			return session.Errorf(session.Refused, "The hospital's agent has no memory left for this.").WithNext("Try again when somebody has closed a console or a shell.")
		}
	}
	m.add(o, more)
	return nil
}
