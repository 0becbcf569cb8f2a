package shell

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/files"
	"github.com/sallyport/sallyport/session/terminal"
)

// desk is where the files of one browser are dealt with. It is its socket's, and goes
// with it: operations are numbered by a browser, and another one counts from the start.
type desk struct {
	panel *files.Panel
	sock  *socket
	gone  chan struct{} // closed when the browser is, and before the panel
}

// files hands what concerns files to the panel, which the first of it makes. It is
// called by the socket's reader alone, and nothing of it waits for the device.
func (s *seat) files(sock *socket, f attach.Frame) error {
	if sock.desk == nil {
		sock.desk = s.openDesk(sock)
	}
	panel := sock.desk.panel
	if f.Type == attach.TypeFiles {
		panel.Handle(f.Payload)
		return nil
	}
	id := binary.BigEndian.Uint32(f.Payload)
	switch f.Type {
	case attach.TypeData:
		err := panel.Data(id, f.Payload[4:])
		if err != nil { // a browser that does not count is not worked with
			sock.document(attach.TypeNotice, attach.Notice{Type: attach.NoticeSaid, Text: engine.Words(err)})
			sock.finish()
		}
		return err
	case attach.TypeEnd:
		panel.End(id)
	case attach.TypeCredit:
		panel.Credit(id, binary.BigEndian.Uint32(f.Payload[4:]))
	}
	return nil
}

func (s *seat) openDesk(sock *socket) *desk {
	d := &desk{sock: sock, gone: make(chan struct{})}
	d.panel = files.NewPanel(files.PanelConfig{
		In: s.t.May(session.FilesIn), Out: s.t.May(session.FilesOut), To: d,
		Serve: func(engineer io.ReadWriteCloser) error { return s.sftp(engineer, d.gone) },
	})
	return d
}

// clear ends what the browser had under way with files and waits for it. What waits
// for a thaw does not.
func (s *socket) clear() {
	if s.desk != nil {
		close(s.desk.gone)
		s.desk.panel.Close()
	}
}

// Room waits until the browser has taken enough of what is on its way.
func (d *desk) Room() error {
	for {
		full := d.sock.out.full()
		if d.sock.gone() {
			return net.ErrClosed
		}
		if full == nil {
			return nil
		}
		select {
		case <-full:
		case <-d.sock.dead:
		case <-d.sock.parted:
			return net.ErrClosed
		case <-d.gone:
			return net.ErrClosed
		}
	}
}

// Answer, Data and Credit queue a frame. All keep their turn: an answer that overtook
// the content before it would end a download too early.
func (d *desk) Answer(json []byte) error { return d.send(attach.TypeFiles, json) }

func (d *desk) Data(id uint32, p []byte) error {
	return d.send(attach.TypeData, binary.BigEndian.AppendUint32(nil, id), p)
}

func (d *desk) Credit(id, n uint32) error {
	return d.send(attach.TypeCredit, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, id), n))
}

func (d *desk) send(t attach.Type, payload ...[]byte) error {
	if d.sock.gone() {
		return net.ErrClosed
	}
	d.sock.send(t, payload...)
	return nil
}

// sftp runs a file transfer on the seat's device connection until the engineer's end of
// it is closed, the device is gone or the seat ends. It is ssh's subsystem, so it is
// granted, recorded, gated and refused as there. What waits at the gate waits no longer
// once gone is closed.
func (s *seat) sftp(engineer io.ReadWriteCloser, gone <-chan struct{}) error {
	if !s.channels.take() {
		return session.Errorf(session.Refused, "This terminal has too much open already.").WithNext("Reload the page.")
	}
	defer s.channels.give()
	ch := &pipeChannel{ReadWriteCloser: engineer, requests: make(chan *gossh.Request, 1), closed: make(chan struct{})}
	loose := make(chan struct{})
	var watching sync.WaitGroup
	defer watching.Wait()
	defer ch.Close()
	watching.Go(func() {
		select {
		case <-s.left:
		case <-s.device.hung:
		case <-ch.closed:
		}
		_ = ch.Close()
	})
	watching.Go(func() {
		select {
		case <-gone:
		case <-s.over:
		case <-ch.closed:
		}
		close(loose)
	})
	var err error
	done := make(chan struct{})
	if !s.c.Go(func() { defer close(done); err = s.transfer(ch, loose) }) {
		return engine.ErrOver
	}
	<-done
	return err
}

// transfer relays a file transfer and returns why there is none or no more.
func (s *seat) transfer(ch *pipeChannel, loose <-chan struct{}) error {
	var fault error
	if !s.t.May(session.FilesIn) && !s.t.May(session.FilesOut) { // the relay refuses it, and has it on record
		fault = session.Errorf(session.Denied, "Files were not granted in this session.").
			WithNext("Ask for the channel files-in or files-out in a new request.")
	}
	cfg := relayConfig(loose, s.c, s.t, s.device)
	serve := cfg.Files
	cfg.Files = func(engineer gossh.Channel) error {
		fault = serve(engineer)
		return fault
	}
	cfg.Said = func(string) {} // the answers say it
	r := terminal.New(ch, cfg)
	ch.requests <- &gossh.Request{Type: "subsystem", Payload: gossh.Marshal(struct{ Name string }{"sftp"})}
	s.channels.run(r, ch.requests)
	return fault
}

// pipeChannel is the engineer's side of a file transfer, as a relay sees it.
type pipeChannel struct {
	io.ReadWriteCloser
	requests chan *gossh.Request
	closed   chan struct{}
	once     sync.Once
}

var _ gossh.Channel = (*pipeChannel)(nil)

func (c *pipeChannel) Close() error {
	c.once.Do(func() {
		_ = c.ReadWriteCloser.Close()
		close(c.closed)
		close(c.requests)
	})
	return nil
}

func (c *pipeChannel) CloseWrite() error                              { return nil }
func (c *pipeChannel) SendRequest(string, bool, []byte) (bool, error) { return true, nil }

// Stderr goes nowhere: refusals are answered.
func (c *pipeChannel) Stderr() io.ReadWriter {
	return struct {
		io.Reader
		io.Writer
	}{strings.NewReader(""), io.Discard}
}
