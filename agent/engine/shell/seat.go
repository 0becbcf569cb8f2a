package shell

import (
	"io"
	"sync"
	"time"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/terminal"
	"github.com/sallyport/sallyport/session/terminal/mirror"
)

// screen keeps what a terminal shows; see package mirror.
type screen interface {
	Write(p []byte)
	Resize(cols, rows int)
	Snapshot() (cols, rows int, data []byte)
	Close()
}

// place is where a seat stands: there is one for a service of a session.
type place struct {
	session session.ID
	service string
}

// seat is an engineer's place in a browser: one conn, whose engineer's side is panes
// that a socket feeds. Sockets come and go; the seat stays until its conn ends, and
// where nobody comes back, for a minute.
type seat struct {
	line     *Line
	at       place
	t        *engine.Ticket
	term     string
	c        *engine.Conn // set when it is open, with what follows
	over     <-chan struct{}
	device   *device
	channels channels
	ready    chan struct{} // closed when it is open or could not be opened
	err      error         // why not; read after ready
	left     chan struct{} // closed when the engineer's side is gone
	gone     chan struct{} // closed when it has left its place
	hang     sync.Once

	mu    sync.Mutex // held for writing to the screen, never for a network or a recorder
	state seatState
}

// seatState is what changes.
type seatState struct {
	sock       *socket // nil: nobody is there
	pane       *pane   // nil: no shell runs
	screen     screen  // nil once the seat is gone
	cols, rows int
	shown      bool // a shell has run: there is something to show again
	deserted   *time.Timer
}

func newSeat(l *Line, at place, b engine.Browser) *seat {
	s := &seat{line: l, at: at, t: b.Ticket, term: b.Proof.Term, ready: make(chan struct{}), left: make(chan struct{}), gone: make(chan struct{})}
	s.state.cols, s.state.rows = b.Proof.Cols, b.Proof.Rows
	s.state.screen = newScreen(b.Proof.Cols, b.Proof.Rows)
	return s
}

// Close takes the engineer's side away: it is what a conn closes when it ends.
func (s *seat) Close() error {
	s.hang.Do(func() {
		close(s.left)
		s.mu.Lock()
		sock, p := s.state.sock, s.state.pane
		if s.state.deserted != nil {
			s.state.deserted.Stop()
		}
		s.mu.Unlock()
		if p != nil {
			_ = p.Close()
		}
		if sock != nil {
			sock.kill()
		}
	})
	return nil
}

func (s *seat) closeScreen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.screen.Close()
	s.state.screen = nil
}

// take gives the seat to a socket that proved itself: it is welcomed, sees what was
// there, and whoever sat there is told.
func (s *seat) take(sock *socket, proof attach.Proof) error {
	s.mu.Lock()
	if s.state.screen == nil || s.c.Stopped() {
		s.mu.Unlock()
		return engine.ErrOver
	}
	st := &s.state
	old := st.sock
	if st.sock = sock; st.deserted != nil {
		st.deserted.Stop()
		st.deserted = nil
	}
	resized := st.cols != proof.Cols || st.rows != proof.Rows
	st.cols, st.rows = proof.Cols, proof.Rows
	st.screen.Resize(proof.Cols, proof.Rows)
	sock.document(attach.TypeWelcome, s.welcome(proof))
	if st.shown {
		s.snapshot(sock)
	}
	p := st.pane
	s.mu.Unlock()
	if old != nil {
		old.document(attach.TypeNotice, attach.Notice{Type: attach.NoticeTaken, Text: takenWords})
		old.finish()
		old.part()
	}
	switch {
	case p != nil && resized:
		p.ask("window-change", windowChange(proof.Cols, proof.Rows))
	case p == nil && proof.Shell:
		s.start(proof.Cols, proof.Rows)
	}
	return nil
}

const (
	takenWords = "This terminal was opened in another window, which has it now."
	closeWords = "This terminal was closed. The session stays open until its limit."
)

// welcome is called with mu held.
func (s *seat) welcome(proof attach.Proof) attach.Welcome {
	w := s.c.Welcome(s.t)
	w.Resumed, w.Running = s.state.shown, s.state.pane != nil || proof.Shell && s.t.May(session.Shell)
	return w
}

// snapshot sends what the terminal shows; what does not fit into the frame follows as
// output. It is called with mu held.
func (s *seat) snapshot(sock *socket) {
	cols, rows, data := s.state.screen.Snapshot()
	n := min(len(data), attach.MaxPayload-4)
	sock.send(attach.TypeSnapshot, attach.AppendSize(nil, cols, rows), data[:n])
	for data = data[n:]; len(data) > 0; data = data[n:] {
		n = min(len(data), attach.MaxPayload)
		sock.send(attach.TypeOutput, data[:n])
	}
}

// leave takes the seat from a socket. The device's connection is kept for a while, and
// so is everything that it says.
func (s *seat) leave(sock *socket) {
	s.mu.Lock()
	mine := s.state.sock == sock
	if mine {
		s.state.sock = nil
		if s.state.screen != nil && !s.c.Stopped() {
			var timer *time.Timer
			timer = time.AfterFunc(s.line.patience.grace, func() { s.desert(func() bool { return s.state.deserted == timer }) })
			s.state.deserted = timer
		}
	}
	s.mu.Unlock()
	sock.part()
	if mine && !s.c.Stopped() {
		s.c.Note(session.Note{Kind: session.NoteAway, Text: "The engineer's browser went away; the terminal waits for it."})
	}
}

// desert gives up a seat to which nobody came back; still is asked under mu.
func (s *seat) desert(still func() bool) {
	s.mu.Lock()
	empty := s.state.sock == nil && still()
	s.mu.Unlock()
	if empty {
		s.c.Go(func() {
			s.c.Note(session.Note{Kind: session.NoteAway, Text: "The engineer's browser did not come back."})
			s.c.Stop(session.Completed, "")
		})
	}
}

// start begins a shell, unless one runs.
func (s *seat) start(cols, rows int) {
	s.mu.Lock()
	if s.state.pane != nil || s.state.screen == nil {
		s.mu.Unlock()
		return
	}
	p := newPane(s)
	p.ask("pty-req", ptyRequest(s.term, cols, rows))
	p.ask("shell", nil)
	s.state.pane, s.state.shown = p, true
	s.state.cols, s.state.rows = cols, rows
	s.state.screen.Resize(cols, rows)
	s.mu.Unlock()
	if !s.c.Go(func() { s.relay(p) }) {
		s.done(p)
	}
}

// relay runs one shell to its end.
func (s *seat) relay(p *pane) {
	defer s.done(p)
	cfg := relayConfig(s.over, s.c, s.t, s.device)
	cfg.Said = func(line string) { s.notice(attach.Notice{Type: attach.NoticeSaid, Text: line}) }
	r := terminal.New(p, cfg)
	var serving sync.WaitGroup
	defer serving.Wait()
	serving.Go(p.serve)
	select {
	case <-s.left:
		_ = p.Close()
	default:
	}
	s.channels.run(r, p.requests)
}

// done forgets a shell that is over, and says so if its exit did not.
func (s *seat) done(p *pane) {
	_ = p.Close()
	s.mu.Lock()
	s.state.pane = nil
	s.mu.Unlock()
	if !p.toldExit() && !s.c.Stopped() {
		s.exit(nil)
	}
}

// output passes a shell's output on, and waits while the browser is slow. One that is
// not there is not waited for.
func (s *seat) output(p *pane, b []byte) (int, error) {
	for {
		s.mu.Lock()
		sock := s.state.sock
		if sock != nil && sock.gone() {
			sock = nil
		}
		var full <-chan struct{}
		if sock != nil {
			full = sock.out.full()
		}
		if full == nil {
			defer s.mu.Unlock()
			if s.state.screen == nil {
				return 0, io.ErrClosedPipe
			}
			s.state.screen.Write(b)
			for rest := b; sock != nil && len(rest) > 0; {
				n := min(len(rest), attach.MaxPayload)
				sock.send(attach.TypeOutput, rest[:n])
				rest = rest[n:]
			}
			return len(b), nil
		}
		s.mu.Unlock()
		select {
		case <-full:
		case <-sock.dead:
		case <-sock.parted:
		case <-p.closed:
			return 0, io.ErrClosedPipe
		case <-s.over:
			return 0, io.ErrClosedPipe
		}
	}
}

// resize gives the terminal another size, here and on the device.
func (s *seat) resize(cols, rows int) {
	s.mu.Lock()
	p := s.state.pane
	same := s.state.cols == cols && s.state.rows == rows
	if !same && s.state.screen != nil {
		s.state.cols, s.state.rows = cols, rows
		s.state.screen.Resize(cols, rows)
	}
	s.mu.Unlock()
	if p != nil && !same {
		p.ask("window-change", windowChange(cols, rows))
	}
}

// exit tells how the shell ended; nil when the device did not say.
func (s *seat) exit(status *uint32) {
	n := attach.Notice{Type: attach.NoticeExit, Status: status}
	if status == nil {
		n.Text = "The shell is over; the device did not say how it ended."
	}
	s.notice(n)
}

// notice tells whoever is there.
func (s *seat) notice(n attach.Notice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.sock != nil {
		s.state.sock.document(attach.TypeNotice, n)
	}
}

// Tell says what changed.
func (s *seat) Tell(n attach.Notice) { s.notice(n) }

// Farewell says the last words and gives the browser a moment to take them.
func (s *seat) Farewell(reason session.EndReason, line string) {
	s.mu.Lock()
	sock := s.state.sock
	if sock != nil {
		sock.document(attach.TypeNotice, attach.Notice{Type: attach.NoticeEnded, Reason: reason, Text: line})
		sock.finish()
	}
	s.mu.Unlock()
	if sock != nil {
		timer := time.NewTimer(2 * farewellTime)
		defer timer.Stop()
		select {
		case <-sock.dead:
		case <-timer.C:
		}
	}
	_ = s.Close()
}

func newScreen(cols, rows int) screen { return mirror.New(cols, rows) }
