package engine

import (
	"sync"
	"sync/atomic"

	"github.com/sallyport/sallyport/session"
)

// errOver is what everything gets that comes after a session's end.
var errOver = session.Errorf(session.Expired, "This session is over.").WithNext("Request access again.")

// gate is the one way from the engineer to the device, for all connections of a
// session. mu is held, shared, from the question whether something may pass until it
// has been written; whoever takes it whole knows that no write is under way and that
// none begins before it lets go.
type gate struct {
	mu   sync.RWMutex
	over atomic.Bool // set without mu: an end never waits for a write that is stuck
}

// Pass runs send while the gate is held open.
func (g *gate) Pass(send func() error) error {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.over.Load() {
		return errOver
	}
	return send()
}

// shut lets nothing pass any more. A write that had begun fails with the device's
// connection, which whoever shuts the gate closes next.
func (g *gate) shut() { g.over.Store(true) }
