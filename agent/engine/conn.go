package engine

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/terminal"
)

// conn is one engineer's connection and, below it, at most one to the device.
type conn struct {
	e                    *Engine
	asset, service, peer string
	net                  io.Closer // the engineer's side
	log                  *slog.Logger
	login                // belongs to the handshake
	asked                // what the client asked for and did not get
	life

	opening sync.Mutex // held while the device is being opened; ending never takes it
	mu      sync.Mutex // never held across I/O
	state   connState
}

// login is the handshake's: the timer that cuts it, and what was said in it.
type login struct {
	handshake *time.Timer
	said      string
}

// asked counts and paces refusals.
type asked struct {
	refused  refusals
	rejected atomic.Int32 // channels
	pace     *rate.Limiter
}

// life is how long a connection works, and who works for it.
type life struct {
	active   atomic.Int64   // when something passed last, since the engine was made
	over     chan struct{}  // closed when it is stopped
	gone     chan struct{}  // closed when the engineer's side is gone
	handlers sync.WaitGroup // of channels
	work     sync.WaitGroup // of the connection itself
	seat     *seat          // the browser's, whose connection it is; nil for ssh
}

// connState is what changes.
type connState struct {
	session  *liveSession
	leg      *leg
	abort    context.CancelFunc // of a dial under way
	relays   map[*terminal.Relay]struct{}
	channels int
	stopped  bool
	finished bool
	reason   session.EndReason
}

// newConn returns nil when there are too many connections already.
func (e *Engine) newConn(ctx context.Context, asset, service, peer string, nc io.Closer) *conn {
	c := &conn{
		e: e, asset: asset, service: service, peer: plain(peer, 100), net: nc,
		log:   e.cfg.Log.With("target", plain(asset+"/"+service, 130)),
		asked: asked{pace: rate.NewLimiter(20, 40)},
		life:  life{over: make(chan struct{}), gone: make(chan struct{})},
		state: connState{relays: map[*terminal.Relay]struct{}{}},
	}
	c.touch()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closing || len(e.conns) >= maxTotal || ctx.Err() != nil {
		return nil
	}
	e.conns[c] = struct{}{}
	return c
}

// admit joins the session of a proven permit.
func (c *conn) admit(p *permit) error {
	s, err := c.e.attach(p, c)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.state.session = s
	stopped := c.state.stopped
	c.mu.Unlock()
	if stopped {
		return errOver
	}
	return nil
}

// enter counts a handler in, unless the connection is finished; leave counts it out.
func (c *conn) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.finished {
		return false
	}
	c.handlers.Add(1)
	return true
}

func (c *conn) leave() { c.handlers.Done() }

// spawn runs do for the connection, unless it is stopped.
func (c *conn) spawn(do func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.stopped {
		return false
	}
	c.work.Go(do)
	return true
}

// stop ends the connection, once and without waiting: first the device, then, if
// there is something to say, the last words, then the engineer.
func (c *conn) stop(reason session.EndReason, line string) {
	c.mu.Lock()
	if c.state.stopped {
		c.mu.Unlock()
		return
	}
	c.state.stopped, c.state.reason = true, reason
	l, abort := c.state.leg, c.state.abort
	relays := keys(c.state.relays)
	if line != "" {
		c.work.Go(func() { c.farewell(relays, reason, line) })
	}
	c.mu.Unlock()
	close(c.over)
	if abort != nil {
		abort()
	}
	if l != nil {
		_ = l.client.Close()
	}
	if line == "" {
		_ = c.net.Close()
	}
}

// farewell says the last words on every open channel and gives the client a moment to
// take them and go. A client that does not read is cut.
func (c *conn) farewell(relays []*terminal.Relay, reason session.EndReason, line string) {
	if c.seat != nil {
		c.seat.farewell(reason, line)
		return
	}
	var said sync.WaitGroup
	for _, r := range relays {
		said.Go(func() {
			r.Say(session.Note{Kind: session.NoteEnded, Reason: reason, Text: line}, farewellTime)
			r.Hangup()
		})
	}
	timer := time.NewTimer(2 * farewellTime)
	defer timer.Stop()
	if len(relays) > 0 {
		select {
		case <-c.gone:
		case <-timer.C:
		}
	}
	_ = c.net.Close()
	said.Wait()
}

// tell says something while the connection goes on: to a browser as it is, to ssh its
// text on every open channel.
func (c *conn) tell(n attach.Notice) {
	if c.seat != nil {
		c.spawn(func() { c.seat.tell(n) })
		return
	}
	if n.Text == "" {
		return
	}
	c.mu.Lock()
	relays := keys(c.state.relays)
	c.mu.Unlock()
	for _, r := range relays {
		c.spawn(func() { r.Say(noteOf(n), farewellTime) })
	}
}

// stopped reports whether the connection is ending.
func (c *conn) stopped() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.stopped
}

// whoLeft is the reason for a connection that nobody stopped. An engineer's client
// goes as soon as it hears that the device went, and is often faster than we are.
func (c *conn) whoLeft() session.EndReason {
	c.mu.Lock()
	l := c.state.leg
	c.mu.Unlock()
	if l != nil {
		select {
		case <-l.gone:
			return session.DeviceClosed
		default:
		}
	}
	return session.Completed
}

// finish waits for all that worked for the connection and seals its recording.
func (c *conn) finish() {
	close(c.gone)
	c.stop(c.whoLeft(), "")
	c.mu.Lock()
	c.state.finished = true
	s, l, reason := c.state.session, c.state.leg, c.state.reason
	c.mu.Unlock()
	c.handlers.Wait()
	c.work.Wait()
	if l != nil {
		c.seal(l, reason)
	}
	if s != nil {
		s.detach(c)
	}
	c.e.mu.Lock()
	delete(c.e.conns, c)
	c.e.mu.Unlock()
}
