package shell

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/wording"
)

// Attach serves one connection of an engineer's browser, or of who watches, until it ends; see package
// attach for what is said on it. The terminal at its other end may outlive it.
func (l *Line) Attach(ctx context.Context, e *engine.Engine, v engine.Visit, b engine.Browser) error {
	if b.Watch != nil {
		return l.watch(ctx, v, b)
	}
	wants, err := attach.ParseTerminal(b.Proof.Opening)
	if err != nil {
		return err
	}
	sock := newWindow(b.Conn, l.patience.stall, l.waiting.By(ownerOf(b.Ticket)))
	t, err := l.terminal(ctx, e, v, visitor{b.Ticket, wants, sock})
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { t.c.Stop(session.AgentLost, wording.Farewell(session.AgentLost)) })()
	var working sync.WaitGroup
	defer working.Wait()
	defer sock.endFiles()
	working.Go(sock.Write)
	working.Go(func() {
		<-sock.Dead
		_ = b.Conn.Close()
	})
	err = t.listen(sock, b.In)
	t.leave(sock)
	if !sock.Gone() { // else the writer closes it after the last word
		sock.Kill()
	}
	l.cfg.Log.Info("browser left", "session", b.Ticket.ID.Session(), "err", err)
	return nil
}

// visitor is a browser that wants a terminal.
type visitor struct {
	ticket *engine.Ticket
	wants  attach.Terminal
	sock   *window
}

// terminal gives a visitor the terminal of its session and service, and makes it where
// there is none.
func (l *Line) terminal(ctx context.Context, e *engine.Engine, v engine.Visit, who visitor) (*browserTerminal, error) {
	for {
		at := place{who.ticket.ID, v.Service}
		l.mu.Lock()
		t, there := l.terminals[at]
		if !there {
			t = newTerminal(l, at, who)
			l.terminals[at] = t
		}
		l.mu.Unlock()
		if !there {
			go t.open(context.WithoutCancel(ctx), e, v)
		}
		<-t.ready // the time of a dial at most
		if t.err != nil {
			return nil, t.err
		}
		if t.take(who.sock, who.wants) == nil {
			if there {
				t.c.Note(session.Note{Kind: session.NoteReturned, From: v.Peer, Text: "The engineer's browser attached again from " + v.Peer + ", as the broker says."})
			}
			return t, nil
		}
		l.vacate(t) // it is just ending
	}
}

// vacate frees the place of a terminal.
func (l *Line) vacate(t *browserTerminal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.terminals[t.at] == t {
		delete(l.terminals, t.at)
	}
}

// listen does what a browser asks until it is gone, or says what nobody may say.
func (t *browserTerminal) listen(sock *window, in *attach.Reader) error {
	for {
		f, err := in.Read()
		if err == nil {
			err = t.handle(sock, f)
		}
		if err != nil {
			return err
		}
	}
}

var errStalled = errors.New("input did not fit")

// handle does one thing that a browser asks.
func (t *browserTerminal) handle(sock *window, f attach.Frame) error {
	if sock.taken.Load() {
		return net.ErrClosed // what comes after that counts for nothing
	}
	switch f.Type {
	case attach.TypeCode: // the operator had accepted by then
	case attach.TypeInput:
		if sh := t.state.shell.Load(); sh != nil && !sh.input(f.Payload, sock) {
			return errStalled
		}
	case attach.TypeResize, attach.TypeStart:
		cols, rows, err := attach.Size(f.Payload)
		if err != nil {
			return err
		}
		if f.Type == attach.TypeResize {
			t.resize(sizeOf(cols, rows))
		} else {
			t.start(sizeOf(cols, rows))
		}
	case attach.TypeClose:
		t.c.Stop(session.Completed, closeWords)
	case attach.TypePing:
		sock.Pong(f.Payload)
	case attach.TypeFiles, attach.TypeData, attach.TypeEnd, attach.TypeCredit:
		return t.fileFrame(sock, f)
	default:
		return attach.ErrFrame
	}
	return nil
}
