package screen

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/screen"
)

// console is one device's console in one session, and all who look at it: for the engine,
// an engineer's side and a device at once.
//
//	opening ─▶ seen ◀─▶ deserted ─▶ over
//	          a viewer   none       the connection ends
type console struct {
	line *Line
	at   place
	t    *engine.Ticket

	ready  chan struct{} // closed when it is open or could not be opened
	err    error         // why not; this and what follows is read after ready
	c      *engine.Conn
	over   <-chan struct{} // closed when the connection ends
	masks  screen.Masks
	screen *screen.Screen
	client Client
	gone   chan struct{} // closed when the device has hung up
	keeper *keeper

	hands    hands
	withheld atomic.Int64 // when it was last said that a copied text stays there

	mu    sync.Mutex // guards what follows; never held across I/O
	state consoleState
}

// hands is held while something is done by hand: recorded, and then sent.
type hands struct {
	sync.Mutex
	orphans []*viewer    // left while a freeze was about to let go of what they hold
	drops   atomic.Int64 // done by hand, and dropped; needs no lock
}

// consoleState is what changes.
type consoleState struct {
	viewers  map[*viewer]struct{} // the engineer's
	watchers map[*viewer]struct{}
	masked   attach.Masked
	deserted *time.Timer
	says     []string            // of the connection; who looks is told
	begun    bool                // it is on record
	shown    session.Certificate // the zero one: the console proves nothing
	why      string              // the device ended it, where it said so
}

func newConsole(l *Line, at place, t *engine.Ticket) *console {
	c := &console{line: l, at: at, t: t, ready: make(chan struct{}), gone: make(chan struct{})}
	c.keeper = newKeeper(c)
	c.state = consoleState{viewers: map[*viewer]struct{}{}, watchers: map[*viewer]struct{}{}, masked: attach.MaskedNothing}
	return c
}

// open runs the console's connection until that ends.
func (c *console) open(ctx context.Context, e *engine.Engine, v engine.Visit) {
	opened := false
	err := e.Connect(ctx, v, c.line.cfg.Protocol, c, func(ctx context.Context, conn *engine.Conn) session.EndReason {
		c.c, c.over = conn, ctx.Done()
		if c.err = conn.Admit(c.t); c.err != nil {
			return session.Failed
		}
		if _, c.err = conn.Open(ctx, c.t, c.dial(v)); c.err != nil {
			return session.Failed
		}
		if c.err = c.begin(); c.err != nil {
			return session.RecorderLost
		}
		opened = true
		close(c.ready)
		<-ctx.Done()
		c.line.vacate(c)
		c.dropped()
		return session.Completed
	})
	_ = c.keeper.Room(0)
	if !opened {
		if c.err == nil {
			c.err = err
		}
		c.line.vacate(c)
		close(c.ready)
	}
}

// isOpen reports whether the console was reached and shows something.
func (c *console) isOpen() bool {
	select {
	case <-c.ready:
		return c.err == nil && c.screen != nil
	default:
		return false
	}
}

// dial logs in to the device.
func (c *console) dial(v engine.Visit) func(context.Context) (engine.Device, error) {
	return func(ctx context.Context) (engine.Device, error) {
		c.masks = c.line.cfg.Masks(v.Asset, v.Service)
		c.screen = screen.New(c.masks, c.keeper)
		use := Use{Screen: c.screen, Pastes: c.may(session.ClipboardIn), Said: c.say, Proved: c.proved, Again: c.again}
		if c.t.May(session.ClipboardOut) {
			use.Copied = c.copied
		}
		client, err := c.line.cfg.Dial(ctx, c.t.Admitted, v.Service, use)
		if err != nil {
			return nil, err
		}
		c.client = gated{client, c.c.Passing()}
		return c.device(), nil
	}
}

// begin puts the console on record and lets its device draw.
func (c *console) begin() error {
	if err := c.keeper.begin(); err != nil {
		return err
	}
	c.mu.Lock()
	says, shown := slices.Clone(c.state.says), c.state.shown
	c.state.begun = true
	c.mu.Unlock()
	if shown.SHA256 != "" {
		c.c.Note(session.Note{Kind: session.NoteSaid, Text: "The console " + shown.Words() + "."})
	}
	for _, text := range says {
		c.c.Note(session.Note{Kind: session.NoteSaid, Text: text})
	}
	if err := c.screen.Show(); err != nil { // black, and of the device's size: viewers need one
		return err
	}
	ok := c.c.Go(func() {
		err := c.client.Run()
		c.line.cfg.Log.Info("console gone", "session", c.t.ID.Session(), "err", err)
		c.parted(err)
		close(c.gone)
		c.screen.Close(engine.ErrOver)
	})
	if !ok {
		return engine.ErrOver
	}
	return nil
}

// parted keeps why the device ended it, where it said so, for the recording, for who looks and
// for the hospital: a refused login and a console that somebody else took are no plain hang-up.
func (c *console) parted(err error) {
	if why := (*session.Error)(nil); !errors.As(err, &why) || c.c.Stopped() {
		return
	}
	words := engine.Words(err)
	c.c.Note(session.Note{Kind: session.NoteSaid, Text: words})
	c.mu.Lock()
	c.state.why = words
	c.mu.Unlock()
	c.c.Parted(err)
}

// device is the console as the engine knows devices.
func (c *console) device() engine.Device { return device{c} }

type device struct{ c *console }

func (d device) Gone() <-chan struct{} { return d.c.gone }

// Release lets go of all keys and buttons that any viewer holds.
func (d device) Release() error {
	d.c.hands.Lock()
	defer d.c.hands.Unlock()
	var first error
	for _, w := range append(d.c.viewers(), d.c.hands.orphans...) {
		if err := w.release(); err != nil && first == nil {
			first = err
		}
	}
	d.c.hands.orphans = nil
	return first
}

func (d device) Close() error { return d.c.client.Close() }

func (c *console) viewers() []*viewer {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*viewer, 0, len(c.state.viewers))
	for w := range c.state.viewers {
		all = append(all, w)
	}
	return all
}

// Tell tells every viewer.
func (c *console) Tell(n attach.Notice) {
	for _, w := range c.viewers() {
		w.sock.Notice(n)
	}
	if n.Type == attach.NoticeThawed && len(n.Causes) == 0 {
		c.c.Go(c.dropped)
	}
}

// dropped puts on record how much was dropped since it was last said.
func (c *console) dropped() {
	if n := int(c.hands.drops.Swap(0)); n > 0 {
		c.c.Note(session.Note{Kind: session.NoteDropped, Count: n, Text: fmt.Sprintf("%d keys and movements were dropped: nothing might pass.", n)})
	}
}

// proved keeps how the console proved who it is, for the recording and the hospital.
func (c *console) proved(shown session.Certificate) {
	c.mu.Lock()
	c.state.shown = shown
	c.mu.Unlock()
	c.c.Proved(shown)
}

// say puts on record what is to be known of the device's connection, and tells who looks
// now or comes later.
func (c *console) say(text string) {
	c.mu.Lock()
	if len(c.state.says) < maxSays {
		c.state.says = append(c.state.says, text)
	}
	begun := c.state.begun
	c.mu.Unlock()
	if begun {
		c.c.Note(session.Note{Kind: session.NoteSaid, Text: text})
		for _, w := range c.viewers() {
			w.sock.Notice(attach.Notice{Type: attach.NoticeSaid, Text: text})
		}
	}
}

// again refuses to dial a broken connection once more while nothing may pass to the device.
func (c *console) again() error {
	return c.c.Gate(c.over, c.gone).Try(func() error { return nil })
}

// title is what viewers call their window.
func (c *console) title() string { return c.t.Asset + "/" + c.at.service }

// Farewell says the last words and gives viewers a moment to take them.
func (c *console) Farewell(reason session.EndReason, words string) {
	c.mu.Lock()
	if reason == session.DeviceClosed && c.state.why != "" {
		words = c.state.why
	}
	c.mu.Unlock()
	all := c.viewers()
	for _, w := range all {
		w.sock.Notice(attach.Notice{Type: attach.NoticeEnded, Reason: reason, Text: words})
		w.sock.Finish()
	}
	timer := time.NewTimer(farewellTime)
	defer timer.Stop()
	for _, w := range all {
		select {
		case <-w.sock.Dead:
		case <-timer.C:
			_ = c.Close()
			return
		}
	}
	_ = c.Close()
}

// Close cuts every viewer off.
func (c *console) Close() error {
	c.mu.Lock()
	if c.state.deserted != nil {
		c.state.deserted.Stop()
	}
	c.mu.Unlock()
	for _, w := range c.viewers() {
		w.sock.Kill()
	}
	return nil
}

// join lets a viewer in. Who comes late sees the whole console at once.
func (c *console) join(b engine.Browser, peer string) (*viewer, error) {
	w := newViewer(c, b)
	c.mu.Lock()
	if c.c.Stopped() {
		c.mu.Unlock()
		return nil, engine.ErrOver
	}
	if len(c.state.viewers) >= maxViewers {
		c.mu.Unlock()
		return nil, session.Errorf(session.Refused, "This console is open in %d windows already.", maxViewers).WithNext("Close one of them first.")
	}
	again := c.state.deserted != nil
	if again {
		c.state.deserted.Stop()
		c.state.deserted = nil
	}
	c.state.viewers[w] = struct{}{}
	welcome := c.c.Welcome(c.t)
	welcome.Channels = slices.DeleteFunc(welcome.Channels, func(by session.Channel) bool { return by != session.ClipboardOut && !c.may(by) })
	welcome.Resumed, welcome.Running = again || len(c.state.viewers) > 1, true
	w.sock.Document(attach.TypeWelcome, welcome)
	w.sock.Document(attach.TypeNotice, attach.Notice{Type: attach.NoticeMasked, Masked: c.state.masked})
	if n, some := c.c.Watchers(); some {
		w.sock.Notice(n)
	}
	for _, text := range c.state.says {
		w.sock.Notice(attach.Notice{Type: attach.NoticeSaid, Text: text})
	}
	c.mu.Unlock()
	if again {
		c.c.Note(session.Note{Kind: session.NoteReturned, From: peer, Text: "The engineer looks at the console again, from " + peer + ", as the broker says."})
	}
	return w, nil
}

// leave lets a viewer go, and lets go of what it holds. With the last one the console is
// kept for a while.
func (c *console) leave(w *viewer) {
	_ = c.c.Gate(w.sock.Dead, c.gone).Try(func() error { // else the freeze, or the end, lets go of it
		c.hands.Lock()
		defer c.hands.Unlock()
		return w.release()
	})
	c.hands.Lock()
	if w.held.Any() {
		c.hands.orphans = append(c.hands.orphans, w)
	}
	c.mu.Lock()
	c.hands.Unlock()
	delete(c.state.viewers, w)
	last := len(c.state.viewers) == 0 && !c.c.Stopped()
	if last {
		var timer *time.Timer
		timer = time.AfterFunc(graceTime, func() { c.desert(timer) })
		c.state.deserted = timer
	}
	c.mu.Unlock()
	w.sock.Kill()
	if last {
		c.c.Note(session.Note{Kind: session.NoteAway, Text: "The engineer looks away from the console; it waits."})
	}
}

// desert gives up a console to which nobody came back.
func (c *console) desert(timer *time.Timer) {
	c.mu.Lock()
	empty := len(c.state.viewers) == 0 && c.state.deserted == timer
	c.mu.Unlock()
	if empty {
		c.c.Go(func() {
			c.c.Note(session.Note{Kind: session.NoteAway, Text: "The engineer did not come back to the console."})
			c.c.Stop(session.Completed, "")
		})
	}
}

// hide tells how much of the console is hidden from now on.
func (c *console) hide(m attach.Masked) {
	c.mu.Lock()
	news := c.state.masked != m
	c.state.masked = m
	watchers := slices.Collect(maps.Keys(c.state.watchers))
	c.mu.Unlock()
	if news {
		for _, w := range append(c.viewers(), watchers...) {
			w.sock.Notice(attach.Notice{Type: attach.NoticeMasked, Masked: m})
		}
	}
}
