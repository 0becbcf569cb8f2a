package shell

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/sallyport/sallyport/agent/engine/socket"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/terminal"
)

// shell is one shell in a browser's terminal: an engineer, to its relay.
type shell struct {
	t       *browserTerminal
	relay   *terminal.Relay
	typed   *socket.Queue
	resized chan struct{}   // one signal: the relay has another size to tell
	done    <-chan struct{} // closed when the shell is over
	end     context.CancelFunc
}

var _ terminal.Engineer = (*shell)(nil)

func newShell(t *browserTerminal) *shell {
	ctx, end := t.child()
	s := &shell{t: t, typed: socket.NewQueue(inputRoom), resized: make(chan struct{}, 1), done: ctx.Done(), end: end}
	s.relay = terminal.New(s, relayConfig(t.over, t.c, t.t, t.device))
	return s
}

// run owns the shell's relay: it starts the shell and sees to its size and its end.
func (s *shell) run() {
	defer s.t.done(s)
	defer s.end()
	r, quiet := s.relay, func(bool) {}
	defer r.Close()
	if _, ok := s.t.channels.add(r); !ok {
		return
	}
	defer s.t.channels.remove(r)
	size := s.t.size()
	r.Pty(terminal.Pty{Term: s.t.term, Cols: size.Cols, Rows: size.Rows, Modes: terminal.NoModes}, quiet)
	if r.Shell(quiet) {
		var typing sync.WaitGroup
		defer typing.Wait()
		typing.Go(s.pass)
	}
	for {
		select {
		case <-s.done:
			return
		case <-s.resized:
			r.SendSize()
		}
	}
}

// pass passes on what is typed, until the shell is over.
func (s *shell) pass() {
	for {
		b, _ := s.typed.Take()
		if b == nil {
			select {
			case <-s.typed.More:
				continue
			case <-s.done:
				return
			}
		}
		if s.relay.Input(b) != nil {
			return
		}
	}
}

// resize gives the shell another size, before what is typed next.
func (s *shell) resize(size session.WindowSize) {
	s.relay.NextSize(size)
	socket.Signal(s.resized)
}

// input takes what was typed; false when it does not fit for too long.
func (s *shell) input(data []byte, sock *window) bool {
	data = bytes.Clone(data)
	full := s.typed.Push(data)
	if full == nil {
		return true
	}
	timer := time.NewTimer(sock.Stall)
	defer timer.Stop()
	for full != nil {
		select {
		case <-full:
			full = s.typed.Push(data)
		case <-timer.C:
			return false
		case <-s.done:
			return true
		case <-sock.Dead:
			return true
		}
	}
	return true
}

// Output passes on what the device said. There is one terminal for both kinds.
func (s *shell) Output(_ session.EventKind, p []byte) error { return s.t.output(p) }

// EndOutput says nothing: how the shell ended does.
func (s *shell) EndOutput() {}

// Say tells a word of ours.
func (s *shell) Say(words string, _ time.Duration) {
	s.t.Tell(attach.Notice{Type: attach.NoticeSaid, Text: words})
}

// Leave tells how the shell ended.
func (s *shell) Leave(x *session.ExitStatus) {
	n := attach.Notice{Type: attach.NoticeExit}
	if x != nil {
		n.Status = &x.Status
	} else {
		n.Text = "The shell is over; the device did not say how it ended."
	}
	s.t.done(s)
	s.t.Tell(n)
	s.end()
}
