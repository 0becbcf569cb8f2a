package engine

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// Conn is one engineer's connection and, below it, at most one to a device. A line
// makes it with Connect and works in its context.
type Conn struct {
	e        *Engine
	visit    Visit
	protocol session.Protocol
	side     Side
	log      *slog.Logger
	refused  refusals
	active   atomic.Int64 // when something passed last, since the engine was made
	cancel   context.CancelFunc
	work     sync.WaitGroup // all that works for the connection

	opening sync.Mutex // held while the device is being opened; ending takes it when nobody opens
	dark    func()     // puts the lamp out that was lit for the device; guarded by opening
	mu      sync.Mutex // never held across I/O
	state   connState
}

// connState is what changes.
type connState struct {
	session  *liveSession
	device   Device
	tap      *tap
	dialling context.CancelFunc // while the device is being reached
	stopped  bool
	finished bool
	reason   session.EndReason
}

// Connect runs an engineer's connection: serve works for it until the engineer's side
// is gone, and says why it ended if nobody else ended it. serve's context ends when
// the connection does. Connect returns when all that was started with Go has ended and
// the recording is sealed.
func (e *Engine) Connect(ctx context.Context, v Visit, p session.Protocol, side Side, serve func(context.Context, *Conn) session.EndReason) error {
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	c := &Conn{e: e, visit: v, protocol: p, side: side, cancel: cancel, log: e.cfg.Log.With("target", v.target())}
	c.touch()
	if err := e.admit(ctx, c); err != nil {
		return err
	}
	defer e.dismiss(c)
	defer context.AfterFunc(ctx, func() { c.Stop(session.AgentLost, wording.Farewell(session.AgentLost)) })()
	c.finish(serve(inner, c))
	return nil
}

// admit counts a connection in, unless the engine is closing.
func (e *Engine) admit(ctx context.Context, c *Conn) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closing || ctx.Err() != nil {
		return errStopping()
	}
	e.conns[c] = struct{}{}
	e.work.Add(1)
	return nil
}

func (e *Engine) dismiss(c *Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.conns, c)
	e.work.Done()
}

// Admit joins the connection to the session of a ticket whose key was proven.
func (c *Conn) Admit(t *Ticket) error {
	s, err := c.e.join(t, c)
	if err != nil {
		return err
	}
	c.visit.place.Leave()
	s.hold()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.session = s
	if c.state.stopped {
		return ErrOver
	}
	return nil
}

// Go runs do for the connection, which does not end before it; false when the
// connection has ended. A panic ends the connection alone.
func (c *Conn) Go(do func()) bool {
	if !c.enter() {
		return false
	}
	go func() {
		defer c.work.Done()
		_ = c.guarded(func() error { do(); return nil })
	}()
	return true
}

// Do is Go that waits for its work.
func (c *Conn) Do(do func() error) error {
	if !c.enter() {
		return ErrOver
	}
	defer c.work.Done()
	return c.guarded(do)
}

func (c *Conn) guarded(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.log.Error("panic in connection", "err", p, "stack", string(debug.Stack()))
			c.Stop(session.Failed, wording.Farewell(session.Failed))
			err = session.Errorf(session.Internal, "This connection failed at the hospital's agent.")
		}
	}()
	return do()
}

// enter counts somebody in who works for the connection, unless that has ended.
func (c *Conn) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.finished {
		return false
	}
	c.work.Add(1)
	return true
}

// Stop ends the connection, once and without waiting: first the device, then, if
// there is something to say, the last words, then the engineer.
func (c *Conn) Stop(reason session.EndReason, words string) {
	c.mu.Lock()
	if c.state.stopped {
		c.mu.Unlock()
		return
	}
	c.state.stopped, c.state.reason = true, reason
	device := c.state.device
	if words != "" {
		tap := c.state.tap
		c.work.Go(func() { c.side.Farewell(reason, words) })
		if tap != nil {
			c.work.Go(func() { _ = tap.note(session.Note{Kind: session.NoteEnded, Reason: reason, Text: words}) })
		}
	}
	c.mu.Unlock()
	c.cancel()
	if device != nil {
		_ = device.Close()
	}
	if words == "" {
		_ = c.side.Close()
	}
}

// Stopped reports whether the connection is ending.
func (c *Conn) Stopped() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.stopped
}

// finish waits for all that works for the connection and seals its recording.
func (c *Conn) finish(why session.EndReason) {
	c.Stop(why, "")
	c.mu.Lock()
	c.state.finished = true
	s, tap, reason := c.state.session, c.state.tap, c.state.reason
	c.mu.Unlock()
	c.work.Wait()
	if tap != nil {
		c.seal(tap, reason)
	}
	c.opening.Lock()
	defer c.opening.Unlock()
	c.darken()
	if s != nil {
		s.detach(c)
	}
}

// Gate is the session's, as one user of the connection passes it: what waits there
// gives up when the engineer's end or the device's is closed. nil never is.
func (c *Conn) Gate(near, far <-chan struct{}) Gate {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Gate{&c.state.session.gate, near, far, new(atomic.Int32)}
}

// Passing tells whether anything of the session passes its gate: Gate.Held for what may
// also be sent when the engine has all keys let go of.
func (c *Conn) Passing() func() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.session.gate.passing
}

// Recorder is the connection's recording, once its device is open. Who records does
// not close it.
func (c *Conn) Recorder() session.Recorder {
	c.mu.Lock()
	defer c.mu.Unlock()
	return openEnded{c.state.tap}
}

// Note puts a remark on record, while there is a recording.
func (c *Conn) Note(n session.Note) {
	if !c.enter() { // a recording is sealed after the last who works for the connection
		return
	}
	defer c.work.Done()
	c.note(n)
}

// noteSoon is Note for who waits for no disk.
func (c *Conn) noteSoon(n session.Note) {
	if c.enter() {
		go func() {
			defer c.work.Done()
			c.note(n)
		}()
	}
}

func (c *Conn) note(n session.Note) {
	c.mu.Lock()
	tap := c.state.tap
	c.mu.Unlock()
	if tap != nil {
		_ = tap.note(n)
	}
}

// Proved tells the hospital how the connection's console proved who it is, or that it did not.
func (c *Conn) Proved(shown session.Certificate) {
	c.mu.Lock()
	s := c.state.session
	c.mu.Unlock()
	if s != nil {
		s.proved(shown)
	}
}

// Refuse puts on record what the engineer asked for and did not get.
func (c *Conn) Refuse(what, detail string) { c.refused.add(what, detail) }

// touch notes that something passed; idle is how long ago that was.
func (c *Conn) touch()              { c.active.Store(int64(time.Since(c.e.born))) }
func (c *Conn) idle() time.Duration { return time.Since(c.e.born) - time.Duration(c.active.Load()) }
