// Package lamp lights a lamp at the agent's host while anybody is connected to a scanner: on
// before the first byte goes to the device, off after the last connection. While an alarm
// rings it blinks: half a second on, half a second off. A lamp that does
// not light is told; whether anything opens without it is its caller's to say. It knows
// neither sessions nor scanners.
package lamp

import (
	"context"
	"sync"
	"time"

	"github.com/sallyport/sallyport/agent/modality/contact"
	"github.com/sallyport/sallyport/session"
)

// output is the contact of a lamp.
type output interface {
	Set(on bool) error
	Close() error
}

// Lamp is one lamp. Safe for concurrent use; it lights only while Run runs.
type Lamp struct {
	open func() (output, error)
	wake chan struct{}

	mu      sync.Mutex
	users   int
	lit     bool          // as it was last set
	err     error         // that it could not be set
	settled chan struct{} // closed and made anew whenever it was set, or could not be
}

// New is the lamp at a line.
func New(line string) (*Lamp, error) {
	l, err := contact.Parse(line)
	if err == nil {
		err = l.CheckOutput()
	}
	if err != nil {
		return nil, session.Errorf(session.Invalid, "the lamp cannot be driven: %w", err)
	}
	return &Lamp{open: func() (output, error) { return l.Output() },
		wake: make(chan struct{}, 1), settled: make(chan struct{})}, nil
}

// Light lights the lamp for one connection. It returns when the lamp is lit, or an error when
// it is not. off is called when the connection is over, after an error, too.
func (l *Lamp) Light(ctx context.Context) (off func(), err error) {
	l.mu.Lock()
	l.users++
	l.err = nil // it is tried anew
	l.mu.Unlock()
	l.stir()
	return sync.OnceFunc(l.release), l.wait(ctx)
}

func (l *Lamp) release() {
	l.mu.Lock()
	l.users--
	if l.users == 0 {
		l.lit = false // whoever comes next waits until it is set anew
	}
	l.mu.Unlock()
	l.stir()
}

func (l *Lamp) stir() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// wait returns when the lamp is lit, or why it is not.
func (l *Lamp) wait(ctx context.Context) error {
	late := time.NewTimer(lightTime)
	defer late.Stop()
	for {
		l.mu.Lock()
		lit, err, settled := l.lit, l.err, l.settled
		l.mu.Unlock()
		if lit || err != nil {
			return err
		}
		select {
		case <-settled:
		case <-ctx.Done():
			return ctx.Err()
		case <-late.C:
			l.settle(false, session.Errorf(session.Unreachable, "it does not answer"))
		}
	}
}

// Trouble says why the lamp is not as it should be; nil when all is well.
func (l *Lamp) Trouble() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (l *Lamp) settle(lit bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lit, l.err = lit, err
	close(l.settled)
	l.settled = make(chan struct{})
}

// Run drives the lamp until ctx ends, and puts it out then. It sets it again from time to
// time: a lamp that was unplugged lights when it is back. While somebody is connected it asks
// whether an alarm rings, which must not block.
func (l *Lamp) Run(ctx context.Context, rings func() bool) error {
	var out output
	tick, blink := time.NewTicker(againEvery), time.NewTicker(blinkEvery)
	defer tick.Stop()
	defer blink.Stop()
	dark := false // of a lamp that blinks
	for {
		ending := ctx.Err() != nil
		l.mu.Lock()
		on := l.users > 0 && !ending
		l.mu.Unlock()
		var err error
		if out == nil {
			out, err = l.open()
		}
		if err == nil {
			err = out.Set(on && !dark)
		}
		if err != nil && out != nil {
			_ = out.Close()
			out = nil
		}
		l.settle(on && err == nil, err)
		if ending {
			if out != nil {
				_ = out.Close()
			}
			return ctx.Err()
		}
		dark = l.rest(ctx, tick.C, blink.C, on, dark, rings)
	}
}

// rest waits until the lamp is to be set again, and says whether it is dark for a blink then.
func (l *Lamp) rest(ctx context.Context, tick, blink <-chan time.Time, on, dark bool, rings func() bool) bool {
	for {
		select {
		case <-l.wake:
			return dark && on
		case <-tick:
			return dark && on
		case <-ctx.Done():
			return false
		case <-blink:
			if next := on && !dark && rings(); next != dark {
				return next
			}
		}
	}
}
