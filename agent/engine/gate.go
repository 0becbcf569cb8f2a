package engine

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/session"
)

// ErrOver is what everything gets that comes after a session's end.
var ErrOver = session.Errorf(session.Expired, "This session is over.").WithNext("Request access again.")

// errFrozen is what gets everything that cannot wait for a thaw.
var errFrozen = session.Errorf(session.Refused, "This session is frozen: nothing goes to the device.").
	WithNext("Wait until the hospital lifts the freeze.")

// gate is the one way from the engineer to the device, for all connections of a
// session. What passes is counted from the question whether it may until it has been
// written, so whoever freezes knows when no write is under way, and none begins.
type gate struct {
	over atomic.Bool // set first: an end never waits for anything

	mu      sync.Mutex // guards what follows; never held across I/O
	passing int
	causes  map[string]bool
	lifted  chan struct{} // closed at thaw and end; nil while nothing freezes
	still   chan struct{} // closed when nothing passes any more; nil when nobody waits
}

// Pass runs send while the gate is held open. While it is frozen, Pass waits.
func (g *gate) Pass(send func() error) error { return g.pass(send, nil) }

// pass is Pass that gives up when gone is closed.
func (g *gate) pass(send func() error, gone <-chan struct{}) error {
	for {
		frozen, err := g.enter()
		if err != nil {
			return err
		}
		if frozen == nil {
			defer g.leave()
			return send()
		}
		select {
		case <-frozen:
		case <-gone:
			return ErrOver
		}
	}
}

// Try is Pass for what cannot wait: it fails while the gate is frozen.
func (g *gate) Try(send func() error) error {
	frozen, err := g.enter()
	switch {
	case err != nil:
		return err
	case frozen != nil:
		return errFrozen
	}
	defer g.leave()
	return send()
}

// enter counts somebody in, or returns what to wait for.
func (g *gate) enter() (frozen <-chan struct{}, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over.Load() {
		return nil, ErrOver
	}
	if len(g.causes) > 0 {
		return g.lifted, nil
	}
	g.passing++
	return nil, nil
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.passing--; g.passing == 0 && g.still != nil {
		close(g.still)
		g.still = nil
	}
}

// freeze lets nothing begin to pass until its cause is lifted; false when it was
// there already.
func (g *gate) freeze(cause string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.causes[cause] {
		return false
	}
	if g.causes == nil {
		g.causes = map[string]bool{}
	}
	if len(g.causes) == 0 {
		g.lifted = make(chan struct{})
	}
	g.causes[cause] = true
	return true
}

// thaw lifts one cause; with the last one, what waited passes.
func (g *gate) thaw(cause string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.causes[cause] {
		return
	}
	if delete(g.causes, cause); len(g.causes) == 0 {
		close(g.lifted)
		g.lifted = nil
	}
}

// frozen lists the causes, sorted.
func (g *gate) frozen() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Sorted(maps.Keys(g.causes))
}

// settle waits until what passed before the freeze has been written; false when that
// takes too long.
func (g *gate) settle(within time.Duration) bool {
	g.mu.Lock()
	if g.passing == 0 {
		g.mu.Unlock()
		return true
	}
	if g.still == nil {
		g.still = make(chan struct{})
	}
	still := g.still
	g.mu.Unlock()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-still:
		return true
	case <-timer.C:
		return false
	}
}

// shut lets nothing pass any more. A write that had begun fails with the device's
// connection, which whoever shuts the gate closes next.
func (g *gate) shut() {
	g.over.Store(true)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.lifted != nil {
		close(g.lifted) // waiters look again and find the session over
		g.lifted, g.causes = nil, nil
	}
}

// Gate is a session's gate for one who passes it: what waits there goes with it.
type Gate struct {
	g    *gate
	gone <-chan struct{}
}

// Pass runs send while the gate is held open. While it is frozen, Pass waits.
func (g Gate) Pass(send func() error) error { return g.g.pass(send, g.gone) }

// Try is Pass for what cannot wait: it fails while the gate is frozen.
func (g Gate) Try(send func() error) error { return g.g.Try(send) }
