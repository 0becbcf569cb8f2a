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
// written, so whoever freezes knows when no write is under way, and none begins. An open
// gate is passed without a lock.
type gate struct {
	state atomic.Int64 // how many pass, and the flags below

	mu     sync.Mutex // guards what follows; never held across I/O
	causes map[string]bool
	lifted chan struct{} // closed at thaw and end; nil while nothing freezes
	still  chan struct{} // closed when nothing passes any more; nil when nobody waits
}

const (
	gateOver    = 1 << 62 // set first: an end never waits for anything
	gateFrozen  = 1 << 61
	gateWatched = 1 << 60 // somebody waits until nothing passes
	gatePassing = gateWatched - 1
)

// Pass runs send while the gate is held open. While it is frozen, Pass waits.
func (g *gate) Pass(send func() error) error { return g.pass(send, nil, nil) }

// pass is Pass that gives up when either end is gone.
func (g *gate) pass(send func() error, near, far <-chan struct{}) error {
	if err := g.await(near, far); err != nil {
		return err
	}
	defer g.leave()
	return send()
}

// await counts somebody in who leaves when they have passed, or says why they cannot.
func (g *gate) await(near, far <-chan struct{}) error {
	frozen, err := g.enter()
	for ; frozen != nil; frozen, err = g.enter() {
		select {
		case <-frozen:
		case <-near:
			return ErrOver
		case <-far:
			return ErrOver
		}
	}
	return err
}

// Try is Pass for what cannot wait: it fails while the gate is frozen.
func (g *gate) Try(send func() error) error {
	if err := g.now(); err != nil {
		return err
	}
	defer g.leave()
	return send()
}

// look is Try for who reaches a console to look at it: what the interlock alone freezes is
// passed.
func (g *gate) look(send func() error) error {
	g.mu.Lock()
	for cause := range g.causes {
		if cause != CauseInterlock {
			g.mu.Unlock()
			return errFrozen
		}
	}
	in := g.hold() // before another cause can be set, so that who sets it waits for this one
	g.mu.Unlock()
	if !in {
		return ErrOver
	}
	defer g.leave()
	return send()
}

// now is await for what cannot wait.
func (g *gate) now() error {
	frozen, err := g.enter()
	if err == nil && frozen != nil {
		return errFrozen
	}
	return err
}

// enter counts somebody in, or returns what to wait for.
func (g *gate) enter() (frozen <-chan struct{}, err error) {
	for {
		switch now := g.state.Load(); {
		case now&gateOver != 0:
			return nil, ErrOver
		case now&gateFrozen == 0:
			if g.state.CompareAndSwap(now, now+1) {
				return nil, nil
			}
		default:
			g.mu.Lock()
			lifted := g.lifted
			g.mu.Unlock()
			if lifted != nil {
				return lifted, nil
			}
		}
	}
}

// hold counts somebody in through a frozen gate: who lets go of what the engineer
// holds. It reports false once the session is over.
func (g *gate) hold() bool {
	for {
		now := g.state.Load()
		if now&gateOver != 0 {
			return false
		}
		if g.state.CompareAndSwap(now, now+1) {
			return true
		}
	}
}

func (g *gate) leave() {
	if now := g.state.Add(-1); now&gateWatched == 0 || now&gatePassing != 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.still != nil {
		g.state.And(^int64(gateWatched))
		close(g.still)
		g.still = nil
	}
}

// passing reports whether anything passes.
func (g *gate) passing() bool { return g.state.Load()&gatePassing > 0 }

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
		g.state.Or(gateFrozen)
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
		g.lift()
	}
}

// lift is called with mu held.
func (g *gate) lift() {
	g.state.And(^int64(gateFrozen))
	if g.lifted != nil {
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
	if g.still == nil {
		g.still = make(chan struct{})
	}
	still := g.still
	if g.state.Or(gateWatched)&gatePassing == 0 {
		g.state.And(^int64(gateWatched))
		close(g.still)
		g.still = nil
	}
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
	g.state.Or(gateOver)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.causes = nil
	g.lift() // who waits looks again and finds the session over
}

// Gate is a session's gate for one who passes it: what waits there goes with it.
type Gate struct {
	g         *gate
	near, far <-chan struct{}
	passing   *atomic.Int32 // how often by this one
}

// Pass runs send while the gate is held open. While it is frozen, Pass waits.
func (g Gate) Pass(send func() error) error {
	if err := g.g.await(g.near, g.far); err != nil {
		return err
	}
	return g.through(send)
}

// Try is Pass for what cannot wait: it fails while the gate is frozen.
func (g Gate) Try(send func() error) error {
	if err := g.g.now(); err != nil {
		return err
	}
	return g.through(send)
}

func (g Gate) through(send func() error) error {
	defer g.g.leave()
	g.passing.Add(1)
	defer g.passing.Add(-1)
	return send()
}

// Held reports whether this one is passing: a device's connection takes what carries
// something only then. So nothing is written after a freeze or an end that was
// acknowledged, whoever forgets the gate.
func (g Gate) Held() bool { return g.passing.Load() > 0 }
