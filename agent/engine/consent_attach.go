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
// tells them so. They say nothing meanwhile; one who goes is waited for no longer. A code is
// not asked for here: the operator accepts.
func (e *Engine) consentFor(nc net.Conn, in *attach.Reader, t *Ticket, v Visit) error {
	q, err := e.Ask(t, v.Service)
	if err != nil || q == nil {
		return err
	}
	defer q.Leave()
	frame, err := attach.AppendJSON(nil, attach.Agent, attach.TypeNotice,
		attach.Notice{Type: attach.NoticeSaid, Text: wording.Awaits(session.ConsentOperator, t.Asset)})
	if err != nil {
		return err
	}
	if _, err := nc.Write(frame); err != nil {
		return errSilent
	}
	heard := make(chan error, 1)
	go func() {
		_, err := in.Read()
		heard <- err
	}()
	select {
	case <-heard:
		return errSilent
	case <-e.stop:
		err = errStopping()
	case <-q.Answered():
		err = q.Answer()
	}
	_ = nc.SetReadDeadline(time.Now()) // the reader has nothing of a frame yet, or they spoke
	if was := <-heard; !errors.Is(was, os.ErrDeadlineExceeded) {
		return errSilent
	}
	return errors.Join(err, nc.SetReadDeadline(time.Time{}))
}
