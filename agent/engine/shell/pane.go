package shell

import (
	"encoding/binary"
	"io"
	"sync"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// pane is the engineer's side of one shell in a browser, as a relay sees it: a session
// channel without a network below.
type pane struct {
	s        *seat
	in       *queue
	rest     []byte // of the chunk that is being read; the reader's
	asked    chan *gossh.Request
	requests chan *gossh.Request // what the relay serves
	closed   chan struct{}
	once     sync.Once
	mu       sync.Mutex
	exited   bool
}

var _ gossh.Channel = (*pane)(nil)

func newPane(s *seat) *pane {
	return &pane{
		s: s, in: newQueue(inputRoom), asked: make(chan *gossh.Request, 16),
		requests: make(chan *gossh.Request), closed: make(chan struct{}),
	}
}

// Read returns what was typed, and the end of file once the pane is closed.
func (p *pane) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		if p.rest = p.in.take(); p.rest != nil {
			break
		}
		select {
		case <-p.in.more:
		case <-p.closed:
			return 0, io.EOF
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// typed takes input; false when it does not fit for too long.
func (p *pane) typed(data []byte, sock *socket) bool {
	timer := time.NewTimer(sock.stall)
	defer timer.Stop()
	for {
		full := p.in.full()
		if full == nil {
			p.in.push(append([]byte(nil), data...))
			return true
		}
		select {
		case <-full:
		case <-timer.C:
			return false
		case <-p.closed:
			return true
		case <-sock.parted:
			return true
		case <-sock.dead:
			return true
		}
	}
}

// Write passes output on: to the picture, and to the browser if one is there.
func (p *pane) Write(b []byte) (int, error) { return p.s.output(p, b) }

// CloseWrite is the end of output; the exit that follows says it.
func (p *pane) CloseWrite() error { return nil }

// Stderr writes to the one terminal that there is.
func (p *pane) Stderr() io.ReadWriter { return p }

// Close ends the pane, from either side.
func (p *pane) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// SendRequest is how a relay tells of the shell's exit.
func (p *pane) SendRequest(name string, _ bool, payload []byte) (bool, error) {
	status := uint32(255)
	switch {
	case name == "exit-status" && len(payload) == 4:
		status = binary.BigEndian.Uint32(payload)
	case name != "exit-signal":
		return false, nil
	}
	p.mu.Lock()
	p.exited = true
	p.mu.Unlock()
	p.s.exit(&status)
	return true, nil
}

// toldExit reports whether the exit was told.
func (p *pane) toldExit() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exited
}

// ask queues a request of the engineer.
func (p *pane) ask(kind string, payload []byte) {
	select {
	case p.asked <- &gossh.Request{Type: kind, Payload: payload}:
	case <-p.closed:
	}
}

// serve hands requests to the relay, and ends them when the pane is closed.
func (p *pane) serve() {
	defer close(p.requests)
	for {
		select {
		case <-p.closed:
			return
		case r := <-p.asked:
			select {
			case p.requests <- r:
			case <-p.closed:
				return
			}
		}
	}
}

// ptyRequest and windowChange are RFC 4254, sections 6.2 and 6.7.
func ptyRequest(term string, cols, rows int) []byte {
	return gossh.Marshal(struct {
		Term                      string
		Cols, Rows, Width, Height uint32
		Modes                     string
	}{Term: term, Cols: uint32(cols), Rows: uint32(rows)})
}

func windowChange(cols, rows int) []byte {
	return gossh.Marshal(struct{ Cols, Rows, Width, Height uint32 }{Cols: uint32(cols), Rows: uint32(rows)})
}
