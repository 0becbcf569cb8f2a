package broker

import (
	"context"
	"sync"
	"time"

	"github.com/sallyport/sallyport/broker/fleet"
)

// presence is the agents that came or went and of whom that is still to be
// written down. What is written is where they are then.
type presence struct {
	rang chan struct{} // buffered 1: there is something

	mu      sync.Mutex
	pending map[fleet.Agent]bool
}

func newPresence() *presence {
	return &presence{rang: make(chan struct{}, 1), pending: map[fleet.Agent]bool{}}
}

// note takes a movement. It does not block.
func (m *presence) note(site, agent string) {
	m.mu.Lock()
	m.pending[fleet.Agent{Site: site, Agent: agent}] = true
	m.mu.Unlock()
	select {
	case m.rang <- struct{}{}:
	default:
	}
}

// back takes what could not be written down yet.
func (m *presence) back(late []fleet.Agent) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range late {
		m.pending[a] = true
	}
}

func (m *presence) take() []fleet.Agent {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]fleet.Agent, 0, len(m.pending))
	for a := range m.pending {
		all = append(all, a)
	}
	clear(m.pending)
	return all
}

// keepPresence writes down which agents come and go, for the people who look at
// them on any node. What the store cannot take now is tried until it can.
func (b *Broker) keepPresence(ctx context.Context) error {
	started := b.noteStart(ctx)
	again := time.NewTicker(settleAgain)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-b.presence.rang:
		case <-again.C:
		}
		started = started || b.noteStart(ctx)
		moved := b.presence.take()
		for i, a := range moved {
			if err := b.access.NoteAgent(ctx, a.Site, a.Agent, b.cfg.Node, b.fleet.Online(a.Site, a.Agent)); err != nil && ctx.Err() == nil {
				b.log.Warn("that an agent came or went is still to be written down", "site", a.Site, "agent", a.Agent, "err", err)
				b.presence.back(moved[i:])
				break // the next tick tries again
			}
		}
	}
}

func (b *Broker) noteStart(ctx context.Context) bool {
	err := b.access.NoteStart(ctx, b.cfg.Node)
	if err != nil && ctx.Err() == nil {
		b.log.Warn("the agents of the last run are still to be written off", "err", err)
	}
	return err == nil
}
