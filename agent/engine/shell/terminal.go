package shell

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/terminal"
	"github.com/sallyport/sallyport/session/terminal/mirror"
)

// place is what a browser's terminal is for: there is one for a service of a session.
type place struct {
	session session.ID
	service string
}

// browserTerminal is an engineer's side that is a browser: a connection of its own, on
// which one shell runs at a time. Sockets come and go; the terminal stays until its
// connection ends, and where nobody comes back, for a minute.
//
//	opening ─▶ there ◀─▶ deserted ─▶ over
//	               a socket  no socket    the connection ends
type browserTerminal struct {
	line *Line
	at   place
	t    *engine.Ticket
	term string

	ready    chan struct{} // closed when it is open or could not be opened
	err      error         // why not; this and what follows is read after ready
	c        *engine.Conn
	over     <-chan struct{}                              // closed when the connection ends
	child    func() (context.Context, context.CancelFunc) // of the connection's context
	device   *device
	channels channels[*terminal.Relay]

	picture picture // taken before mu where both are

	mu    sync.Mutex // never held for a network, a recorder or the picture
	state terminalState
}

// terminalState is what changes, with mu held. What a keystroke or its echo needs is
// read without it.
type terminalState struct {
	shell    atomic.Pointer[shell]  // nil: none runs
	sock     atomic.Pointer[window] // nil: nobody is there
	size     atomic.Pointer[session.WindowSize]
	shown    bool // a shell has run: there is something to show again
	deserted *time.Timer
}

func newTerminal(l *Line, at place, who visitor) *browserTerminal {
	t := &browserTerminal{line: l, at: at, t: who.ticket, term: who.wants.Term, ready: make(chan struct{})}
	size := sizeOf(who.wants.Cols, who.wants.Rows)
	t.state.size.Store(&size)
	t.picture.room = l.room(who.ticket)
	t.picture.begin(size)
	return t
}

func sizeOf(cols, rows int) session.WindowSize {
	return session.WindowSize{Cols: uint32(cols), Rows: uint32(rows)}
}

// open runs the terminal's connection, whose device it opens as the first channel of an
// ssh does, until that ends.
func (t *browserTerminal) open(ctx context.Context, e *engine.Engine, v engine.Visit) {
	opened := false
	err := e.Connect(ctx, v, session.SSH, t, func(ctx context.Context, c *engine.Conn) session.EndReason {
		t.c, t.over = c, ctx.Done()
		t.child = func() (context.Context, context.CancelFunc) { return context.WithCancel(ctx) }
		if t.err = c.Admit(t.t); t.err != nil {
			return session.Failed
		}
		var d engine.Device
		if d, t.err = c.Open(ctx, t.t, t.line.dial(t.t, v.Service, c, &t.channels)); t.err != nil {
			return session.Failed
		}
		t.device, opened = d.(*device), true
		close(t.ready)
		<-ctx.Done()
		t.line.vacate(t)
		return t.channels.whoLeft()
	})
	t.picture.close()
	if !opened {
		if t.err == nil {
			t.err = err
		}
		t.line.vacate(t)
		close(t.ready)
	}
}

// take gives the terminal to a socket that proved itself: it is welcomed, sees what was
// there, and whoever was there is told.
func (t *browserTerminal) take(sock *window, wants attach.Terminal) error {
	size := sizeOf(wants.Cols, wants.Rows)
	t.picture.mu.Lock() // nothing is shown between the snapshot and what follows it
	t.mu.Lock()
	if t.c.Stopped() {
		t.mu.Unlock()
		t.picture.mu.Unlock()
		return engine.ErrOver
	}
	old, resized := t.state.sock.Swap(sock), *t.state.size.Swap(&size) != size
	if t.state.deserted != nil {
		t.state.deserted.Stop()
		t.state.deserted = nil
	}
	sh := t.state.shell.Load()
	w := t.c.Welcome(t.t)
	w.Resumed, w.Running = t.state.shown, sh != nil || wants.Shell && t.t.May(session.Shell)
	sock.Document(attach.TypeWelcome, w)
	if old != nil {
		old.taken.Store(true)
	}
	if n, some := t.c.Watchers(); some {
		sock.Notice(n)
	}
	shown := t.state.shown
	t.mu.Unlock()
	if shown {
		t.picture.send(sock, size)
	}
	t.picture.mu.Unlock()
	if old != nil {
		old.Notice(attach.Notice{Type: attach.NoticeTaken, Text: takenWords})
		old.Finish()
	}
	switch {
	case sh != nil && resized:
		sh.resize(size)
	case sh == nil && wants.Shell:
		t.start(size)
	}
	return nil
}

const (
	takenWords = "This terminal was opened in another window, which has it now."
	closeWords = "This terminal was closed. The session stays open until its limit."
)

// leave takes the terminal from a socket. The device's connection is kept for a while,
// and so is everything that it says.
func (t *browserTerminal) leave(sock *window) {
	t.mu.Lock()
	mine := t.state.sock.CompareAndSwap(sock, nil)
	if mine && !t.c.Stopped() {
		var timer *time.Timer
		timer = time.AfterFunc(t.line.patience.grace, func() { t.desert(func() bool { return t.state.deserted == timer }) })
		t.state.deserted = timer
	}
	t.mu.Unlock()
	if mine && !t.c.Stopped() {
		t.c.Note(session.Note{Kind: session.NoteAway, Text: "The engineer's browser went away; the terminal waits for it."})
	}
}

// desert gives up a terminal to which nobody came back; still is asked under mu.
func (t *browserTerminal) desert(still func() bool) {
	t.mu.Lock()
	empty := t.state.sock.Load() == nil && still()
	t.mu.Unlock()
	if empty {
		t.c.Go(func() {
			t.c.Note(session.Note{Kind: session.NoteAway, Text: "The engineer's browser did not come back."})
			t.c.Stop(session.Completed, "")
		})
	}
}

// start begins a shell, unless one runs.
func (t *browserTerminal) start(size session.WindowSize) {
	t.mu.Lock()
	if t.state.shell.Load() != nil {
		t.mu.Unlock()
		return
	}
	sh := newShell(t)
	t.state.shell.Store(sh)
	t.state.shown = true
	t.state.size.Store(&size)
	t.mu.Unlock()
	if !t.c.Go(sh.run) {
		sh.relay.Close()
		sh.end()
		t.done(sh)
	}
}

// done forgets a shell that is over.
func (t *browserTerminal) done(sh *shell) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state.shell.CompareAndSwap(sh, nil)
}

// resize gives the terminal another size, here and on the device.
func (t *browserTerminal) resize(size session.WindowSize) {
	t.mu.Lock()
	same := *t.state.size.Swap(&size) == size
	t.mu.Unlock()
	if sh := t.state.shell.Load(); sh != nil && !same {
		sh.resize(size)
	}
}

func (t *browserTerminal) size() session.WindowSize { return *t.state.size.Load() }

// output passes a shell's output on, and waits while the browser is slow. One that is
// not there is not waited for.
func (t *browserTerminal) output(p []byte) error {
	for full := t.full(); full != nil; full = t.full() {
		select {
		case <-full:
		case <-t.over:
			return io.ErrClosedPipe
		}
	}
	t.picture.mu.Lock()
	defer t.picture.mu.Unlock()
	if sock := t.state.sock.Load(); sock != nil {
		sock.Send(attach.TypeOutput, p)
	}
	return t.picture.write(t.size(), p)
}

// full is nil while the browser, if there is one, has room.
func (t *browserTerminal) full() <-chan struct{} {
	if sock := t.state.sock.Load(); sock != nil {
		return sock.Full()
	}
	return nil
}

// Tell tells whoever is there.
func (t *browserTerminal) Tell(n attach.Notice) {
	if sock := t.state.sock.Load(); sock != nil {
		sock.Notice(n)
	}
}

// Farewell says the last words and gives the browser a moment to take them.
func (t *browserTerminal) Farewell(reason session.EndReason, words string) {
	if sock := t.state.sock.Load(); sock != nil {
		sock.Notice(attach.Notice{Type: attach.NoticeEnded, Reason: reason, Text: words})
		sock.Finish()
		timer := time.NewTimer(2 * farewellTime)
		defer timer.Stop()
		select {
		case <-sock.Dead:
		case <-timer.C:
		}
	}
	_ = t.Close()
}

// Close cuts the browser off.
func (t *browserTerminal) Close() error {
	t.channels.end(session.Note{})
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state.deserted != nil {
		t.state.deserted.Stop()
	}
	if sock := t.state.sock.Load(); sock != nil {
		sock.Kill()
	}
	return nil
}

// picture keeps what a terminal shows, for who comes back; see package mirror. Whoever
// holds mu decides what is shown next, so only output and newcomers wait for it:
// neither what is typed nor what we tell does.
type picture struct {
	room func(was, now int) bool // of the agent's memory

	mu     sync.Mutex
	screen *mirror.Mirror // nil where there was no room for it
	size   session.WindowSize
	over   bool
}

// begin makes a blank one of a size, if there is room.
func (p *picture) begin(size session.WindowSize) {
	if p.size = size; p.room(0, costOf(size)) {
		p.screen = mirror.New(int(size.Cols), int(size.Rows))
	}
}

func costOf(size session.WindowSize) int { return mirror.Cost(int(size.Cols), int(size.Rows)) }

// write and send are called with mu held.
func (p *picture) write(size session.WindowSize, b []byte) error {
	if p.over {
		return io.ErrClosedPipe
	}
	if p.resize(size); p.screen != nil {
		p.screen.Write(b)
	}
	return nil
}

// resize follows the terminal's size when something is drawn or looked at. A size for which
// there is no room is not drawn, until another is.
func (p *picture) resize(size session.WindowSize) {
	was := p.size
	switch {
	case was == size:
	case p.screen == nil:
		p.begin(size)
	case p.room(costOf(was), costOf(size)):
		p.size = size
		p.screen.Resize(int(size.Cols), int(size.Rows))
	default:
		p.forget()
		p.size = size
	}
}

// forget gives the picture up.
func (p *picture) forget() {
	if p.screen != nil {
		p.room(costOf(p.size), 0)
		p.screen = nil
	}
}

// send shows a newcomer what there is; what does not fit into the frame follows as output.
func (p *picture) send(sock *window, size session.WindowSize) {
	if p.over {
		return
	}
	p.resize(size)
	cols, rows, data := int(size.Cols), int(size.Rows), mirror.Lost(int(size.Cols), int(size.Rows))
	if p.screen != nil {
		cols, rows, data = p.screen.Snapshot()
	}
	n := min(len(data), attach.MaxPayload-4)
	sock.Send(attach.TypeSnapshot, attach.AppendSize(nil, cols, rows), data[:n])
	for data = data[n:]; len(data) > 0; data = data[n:] {
		n = min(len(data), attach.MaxPayload)
		sock.Send(attach.TypeOutput, data[:n])
	}
}

func (p *picture) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget()
	p.over = true
}
