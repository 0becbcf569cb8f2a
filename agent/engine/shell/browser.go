package shell

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/wording"
)

// Attach serves one connection of an engineer's browser until it ends; see package
// attach for what is said on it. The terminal at its other end may outlive it.
func (l *Line) Attach(ctx context.Context, e *engine.Engine, v engine.Visit, b engine.Browser) error {
	sock := newSocket(b.Conn, l.patience.stall)
	s, err := l.sit(ctx, e, v, b, sock)
	if err != nil {
		return err
	}
	defer sock.kill()
	defer context.AfterFunc(ctx, func() { s.c.Stop(session.AgentLost, wording.Farewell(session.AgentLost)) })()
	var writing sync.WaitGroup
	defer writing.Wait()
	writing.Go(sock.write)
	defer sock.clear()
	err = s.listen(sock, b.In)
	s.leave(sock)
	select {
	case <-sock.last: // the writer closes it after the last word
	default:
		sock.kill()
	}
	l.cfg.Log.Info("browser left", "session", b.Ticket.ID.Session(), "err", err)
	return nil
}

// sit gives a visitor the seat of its session and service, and makes it where there is
// none. One that is just ending is waited for.
func (l *Line) sit(ctx context.Context, e *engine.Engine, v engine.Visit, b engine.Browser, sock *socket) (*seat, error) {
	for {
		at := place{b.Ticket.ID, v.Service}
		l.mu.Lock()
		s, there := l.seats[at]
		if !there {
			s = newSeat(l, at, b)
			l.seats[at] = s
		}
		l.mu.Unlock()
		if !there {
			go s.run(context.WithoutCancel(ctx), e, v)
		}
		<-s.ready // the time of a dial at most
		if s.err != nil {
			return nil, s.err
		}
		if s.take(sock, b.Proof) == nil {
			if there {
				s.c.Note(session.Note{Kind: session.NoteReturned, From: v.Peer, Text: "The engineer's browser attached again from " + v.Peer + ", as the broker says."})
			}
			return s, nil
		}
		select {
		case <-s.gone:
		case <-time.After(2 * time.Second):
			return nil, engine.ErrOver
		}
	}
}

// vacate frees the place of a seat.
func (l *Line) vacate(s *seat) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seats[s.at] == s {
		delete(l.seats, s.at)
	}
	close(s.gone)
}

// run opens a seat's connection, as the first channel of an ssh does, and sees to the
// seat's end.
func (s *seat) run(ctx context.Context, e *engine.Engine, v engine.Visit) {
	open := false
	err := e.Connect(ctx, v, session.SSH, s, func(ctx context.Context, c *engine.Conn) session.EndReason {
		s.c, s.over = c, ctx.Done()
		err := c.Admit(s.t)
		if err == nil {
			var d engine.Device
			if d, err = c.Open(ctx, s.t, s.line.dial(s.t, v.Service, c, &s.channels)); err == nil {
				s.device = d.(*device)
				open = true
				close(s.ready)
				<-s.left
				s.line.vacate(s)
			}
		}
		s.err = err
		return s.channels.whoLeft()
	})
	s.closeScreen()
	if !open {
		s.line.vacate(s)
		if s.err == nil {
			s.err = err
		}
		close(s.ready)
	}
}

// listen does what a browser asks until it is gone, or says what nobody may say.
func (s *seat) listen(sock *socket, in *attach.Reader) error {
	for {
		f, err := in.Read()
		if err == nil {
			err = s.handle(sock, f)
		}
		if err != nil {
			return err
		}
	}
}

var errStalled = errors.New("input did not fit")

// handle does one thing that a browser asks.
func (s *seat) handle(sock *socket, f attach.Frame) error {
	s.mu.Lock()
	p, mine := s.state.pane, s.state.sock == sock
	s.mu.Unlock()
	if !mine {
		return net.ErrClosed // taken; what comes after that counts for nothing
	}
	switch f.Type {
	case attach.TypeInput:
		if p != nil && !p.typed(f.Payload, sock) {
			return errStalled
		}
	case attach.TypeResize, attach.TypeStart:
		cols, rows, err := attach.Size(f.Payload)
		if err != nil {
			return err
		}
		if f.Type == attach.TypeResize {
			s.resize(cols, rows)
		} else {
			s.start(cols, rows)
		}
	case attach.TypeClose:
		s.c.Stop(session.Completed, closeWords)
	case attach.TypePing:
		sock.pong(f.Payload)
	case attach.TypeFiles, attach.TypeData, attach.TypeEnd, attach.TypeCredit:
		return s.files(sock, f)
	default:
		return attach.ErrFrame
	}
	return nil
}
