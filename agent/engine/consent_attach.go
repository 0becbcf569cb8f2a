package engine

import (
	"errors"
	"net"
	"os"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/wording"
)

// consentFor waits for the operator's consent before somebody is welcomed who attaches, and
// tells them so. One who goes is waited for no longer. Where policy asks for a code it is taken
// here; a browser's passes the broker, which it helps to nothing: it answers this one asking
// about this one session, of whose engineer's key the attachment has proof.
func (e *Engine) consentFor(nc net.Conn, in *attach.Reader, t *Ticket, v Visit) error {
	q, err := e.Ask(t, v.Service)
	if err != nil || q == nil {
		return err
	}
	defer q.Leave()
	w := waiting{nc: nc, in: in, q: q, as: attach.NoticeSaid, typed: make(chan string), heard: make(chan error, 1), done: make(chan struct{})}
	if q.Kind == session.ConsentCode {
		w.as = attach.NoticeCode
	}
	if err := w.say(wording.Awaits(q.Kind, t.Asset)); err != nil {
		return err
	}
	go w.listen()
	err = w.wait(e.stop)
	close(w.done)
	if errors.Is(err, errSilent) {
		return err
	}
	_ = nc.SetReadDeadline(time.Now()) // the reader goes on later, in a code that comes too late if that is what it has
	if was := <-w.heard; !errors.Is(was, os.ErrDeadlineExceeded) {
		return errSilent
	}
	return errors.Join(err, nc.SetReadDeadline(time.Time{}))
}

// waiting is somebody who attaches and waits for the operator.
type waiting struct {
	nc    net.Conn
	in    *attach.Reader
	q     *Question
	as    attach.NoticeType // NoticeCode where a code is taken
	typed chan string       // codes
	heard chan error        // the end of what they say
	done  chan struct{}     // the wait is over
}

func (w *waiting) say(text string) error {
	frame, err := attach.AppendJSON(nil, attach.Agent, attach.TypeNotice, attach.Notice{Type: w.as, Text: text})
	if err != nil {
		return err
	}
	if _, err := w.nc.Write(frame); err != nil {
		return errSilent
	}
	return nil
}

// listen takes codes until anything else comes, or nothing more.
func (w *waiting) listen() {
	for {
		f, err := w.in.Read()
		if err != nil || w.as != attach.NoticeCode || f.Type != attach.TypeCode {
			w.heard <- err
			return
		}
		select {
		case w.typed <- string(f.Payload):
		case <-w.done: // nobody asks any more
		}
	}
}

// wait returns the operator's answer, or why nobody waits for it any more.
func (w *waiting) wait(stop <-chan struct{}) error {
	for {
		select {
		case <-w.heard:
			return errSilent
		case <-stop:
			return errStopping()
		case <-w.q.Answered():
			return w.q.Answer()
		case code := <-w.typed:
			err := w.q.Try(code)
			select {
			case <-w.q.Answered():
				return w.q.Answer()
			default:
			}
			if err := w.say(Words(err)); err != nil {
				return err
			}
		}
	}
}
