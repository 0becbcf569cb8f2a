package shell

import (
	"encoding/binary"
	"encoding/json"
	"net"
	"sync"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/files"
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
		Serve: func(work func(files.Config) error) error { return s.sftp(d.gone, work) },
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

// sftp lets work do what it does with the files of the seat's device connection, until
// that or the seat ends. It is ssh's subsystem, so it is granted, recorded, gated and
// refused as there. What waits at the gate waits no longer once gone is closed.
func (s *seat) sftp(gone <-chan struct{}, work func(files.Config) error) error {
	if !s.channels.take() {
		return session.Errorf(session.Refused, "This terminal has too much open already.").WithNext("Reload the page.")
	}
	defer s.channels.give()
	var err error
	done := make(chan struct{})
	if !s.c.Go(func() { defer close(done); err = s.transfer(gone, work) }) {
		return engine.ErrOver
	}
	<-done
	return err
}

func (s *seat) transfer(gone <-chan struct{}, work func(files.Config) error) error {
	way := session.FilesOut
	switch {
	case s.t.May(session.FilesIn):
		way = session.FilesIn
	case !s.t.May(session.FilesOut):
		s.c.Refuse("subsystem sftp", "not granted")
		return session.Errorf(session.Denied, "Files were not granted in this session.").
			WithNext("Ask for the channel files-in or files-out in a new request.")
	}
	var watching sync.WaitGroup
	defer watching.Wait()
	done, loose := make(chan struct{}), make(chan struct{})
	defer close(done)
	until := func(end <-chan struct{}, then func()) {
		watching.Go(func() {
			select {
			case <-end:
			case <-s.over:
			case <-done:
			}
			then()
		})
	}
	until(gone, func() { close(loose) })
	cfg := filesConfig(loose, s.c, s.t, s.device, s.device.streams.Add(1))
	cfg.Device = func() (gossh.Channel, <-chan *gossh.Request, error) {
		ch, requests, err := s.device.channel()
		if err == nil {
			until(s.left, func() { _ = ch.Close() })
		}
		return ch, requests, err
	}
	open, err := json.Marshal(session.ChannelOpen{Type: way, Command: "sftp"})
	if err == nil {
		err = cfg.Recorder.Record(session.Event{Kind: session.ChannelOpened, Stream: cfg.Stream, Data: open})
	}
	if err != nil {
		return err
	}
	defer func() { _ = cfg.Recorder.Record(session.Event{Kind: session.ChannelClosed, Stream: cfg.Stream}) }()
	return work(cfg)
}
