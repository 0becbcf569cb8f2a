package engine

import (
	"io"
	"runtime/debug"
	"slices"
	"sync"
	"time"

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
	c     *conn
	p     *permit
	leg   *leg
	term  string
	ready chan struct{} // closed when it is open or could not be opened
	err   error         // why not; read after ready
	left  chan struct{} // closed when the engineer's side is gone
	gone  chan struct{} // closed when it has left its place
	hang  sync.Once

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

func newSeat() *seat {
	return &seat{ready: make(chan struct{}), left: make(chan struct{}), gone: make(chan struct{})}
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

// run waits for the seat's end and sees to it.
func (s *seat) run() {
	<-s.left
	s.c.e.unseat(s)
	s.c.finish()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.screen.Close()
	s.state.screen = nil
}

// take gives the seat to a socket that proved itself: it is welcomed, sees what was
// there, and whoever sat there is told.
func (s *seat) take(sock *socket, proof attach.Proof) error {
	s.mu.Lock()
	if s.state.screen == nil || s.c.stopped() {
		s.mu.Unlock()
		return errOver
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
	live := s.c.sessionOf()
	live.mu.Lock()
	facts := live.state.facts
	live.mu.Unlock()
	w := attach.Welcome{
		Session: s.p.id.Session(), Request: s.p.request, Asset: s.c.asset, Service: s.c.service,
		Deadline: facts.Deadline.UTC(), Opened: facts.Opened.UTC(), Now: s.c.e.cfg.Now().UTC(),
		Channels: []session.Channel{}, Frozen: append([]string{}, live.gate.frozen()...),
		Recording: s.leg.tap.id, Resumed: s.state.shown, Running: s.state.pane != nil || proof.Shell && s.p.may(session.Shell),
	}
	for c, ok := range s.p.channels {
		if ok {
			w.Channels = append(w.Channels, c)
		}
	}
	slices.Sort(w.Channels)
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
		if s.state.screen != nil && !s.c.stopped() {
			var timer *time.Timer
			timer = time.AfterFunc(s.c.e.patience.grace, func() { s.desert(func() bool { return s.state.deserted == timer }) })
			s.state.deserted = timer
		}
	}
	s.mu.Unlock()
	sock.part()
	if mine && !s.c.stopped() {
		s.note(session.Note{Kind: session.NoteAway, Text: "The engineer's browser went away; the terminal waits for it."})
	}
}

// note puts a remark on record, while there is a recording.
func (s *seat) note(n session.Note) {
	if s.c.enter() { // a recording is sealed after the last handler
		defer s.c.leave()
		_ = s.leg.tap.note(n)
	}
}

// desert gives up a seat to which nobody came back; still is asked under mu.
func (s *seat) desert(still func() bool) {
	s.mu.Lock()
	empty := s.state.sock == nil && still()
	s.mu.Unlock()
	if empty {
		s.c.spawn(func() {
			_ = s.leg.tap.note(session.Note{Kind: session.NoteAway, Text: "The engineer's browser did not come back."})
			s.c.stop(session.Completed, "")
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
	if !s.c.enter() {
		s.done(p)
		return
	}
	go func() { // the connection waits for its handlers
		defer s.c.leave()
		s.relay(p)
	}()
}

// relay runs one shell to its end.
func (s *seat) relay(p *pane) {
	defer s.done(p)
	defer func() {
		if r := recover(); r != nil {
			s.c.log.Error("panic in shell", "err", r, "stack", string(debug.Stack()))
			s.c.stop(session.Failed, lastWords(session.Failed))
		}
	}()
	cfg := s.c.relayConfig(s.p, s.leg, s.c.over)
	cfg.Said = func(line string) { s.notice(attach.Notice{Type: attach.NoticeSaid, Text: line}) }
	r := terminal.New(p, cfg)
	if !s.c.add(r) {
		return
	}
	defer s.c.remove(r)
	var serving sync.WaitGroup
	defer serving.Wait()
	serving.Go(p.serve)
	select {
	case <-s.left:
		_ = p.Close()
	default:
	}
	r.Run(p.requests)
}

// done forgets a shell that is over, and says so if its exit did not.
func (s *seat) done(p *pane) {
	_ = p.Close()
	s.mu.Lock()
	s.state.pane = nil
	s.mu.Unlock()
	if !p.toldExit() && !s.c.stopped() {
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
		case <-s.c.over:
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

// tell is a word of ours while the connection goes on; what it is about was marked.
// How the freeze stands was told already.
func (s *seat) tell(n attach.Notice) {
	if n.Type == attach.NoticeFrozen || n.Type == attach.NoticeThawed {
		return
	}
	s.notice(n)
}

// freezeChanged tells how the freeze stands. It is asked while nothing else is told, so
// the last that a browser hears is what holds.
func (s *seat) freezeChanged() {
	s.mu.Lock()
	defer s.mu.Unlock()
	live := s.c.sessionOf()
	if s.state.sock == nil || live == nil {
		return
	}
	n := attach.Notice{Type: attach.NoticeThawed, Text: thawedWords}
	if causes := live.gate.frozen(); len(causes) > 0 {
		n = attach.Notice{Type: attach.NoticeFrozen, Causes: causes, Text: frozenWords}
	}
	s.state.sock.document(attach.TypeNotice, n)
}

// farewell says the last words and gives the browser a moment to take them.
func (s *seat) farewell(reason session.EndReason, line string) {
	var noted sync.WaitGroup
	if s.leg != nil {
		noted.Go(func() { _ = s.leg.tap.note(session.Note{Kind: session.NoteEnded, Reason: reason, Text: line}) })
	}
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
	noted.Wait()
}

func newScreen(cols, rows int) screen { return mirror.New(cols, rows) }
