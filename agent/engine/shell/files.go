package shell

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"net"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/files"
)

// fileOperations are those of one browser. They are its socket's, and go with it: they
// are numbered by a browser, and another one counts from the start.
type fileOperations struct {
	panel *files.Panel
	sock  *window
	gone  <-chan struct{} // closed when the browser is, and before the panel
	leave context.CancelFunc
}

// fileFrame hands what concerns files to the panel, which the first of it makes. It is
// called by the socket's reader alone, and nothing of it waits for the device.
func (t *browserTerminal) fileFrame(sock *window, f attach.Frame) error {
	if sock.files == nil {
		sock.files = t.openFiles(sock)
	}
	panel := sock.files.panel
	if f.Type == attach.TypeFiles {
		panel.Handle(f.Payload)
		return nil
	}
	id := binary.BigEndian.Uint32(f.Payload)
	switch f.Type {
	case attach.TypeData:
		err := panel.Data(id, f.Payload[4:])
		if err != nil { // a browser that does not count is not worked with
			sock.Notice(attach.Notice{Type: attach.NoticeSaid, Text: engine.Words(err)})
			sock.Finish()
		}
		return err
	case attach.TypeEnd:
		panel.End(id)
	case attach.TypeCredit:
		panel.Credit(id, binary.BigEndian.Uint32(f.Payload[4:]))
	}
	return nil
}

func (t *browserTerminal) openFiles(sock *window) *fileOperations {
	ctx, leave := context.WithCancel(context.Background())
	d := &fileOperations{sock: sock, gone: ctx.Done(), leave: leave}
	d.panel = files.NewPanel(files.PanelConfig{
		Ahead: t.line.ahead.By(ownerOf(t.t)),
		In:    t.t.May(session.FilesIn), Out: t.t.May(session.FilesOut), To: d,
		Serve: func(work func(files.Config) error) error { return t.sftp(ctx, work) },
	})
	return d
}

// endFiles ends what the browser had under way with files and waits for it. What waits
// for a thaw does not.
func (w *window) endFiles() {
	if w.files != nil {
		w.files.leave()
		w.files.panel.Close()
	}
}

// Room waits until the browser has taken enough of what is on its way.
func (d *fileOperations) Room() error {
	for {
		full := d.sock.Full()
		if d.sock.Gone() {
			return net.ErrClosed
		}
		if full == nil {
			return nil
		}
		select {
		case <-full:
		case <-d.gone:
			return net.ErrClosed
		}
	}
}

// Answer, Data and Credit queue a frame. All keep their turn: an answer that overtook
// the content before it would end a download too early.
func (d *fileOperations) Answer(json []byte) error { return d.send(attach.TypeFiles, json) }

func (d *fileOperations) Data(id uint32, p []byte) error {
	return d.send(attach.TypeData, binary.BigEndian.AppendUint32(nil, id), p)
}

func (d *fileOperations) Credit(id, n uint32) error {
	return d.send(attach.TypeCredit, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, id), n))
}

func (d *fileOperations) send(t attach.Type, payload ...[]byte) error {
	if d.sock.Gone() {
		return net.ErrClosed
	}
	d.sock.Send(t, payload...)
	return nil
}

// sftp lets work do what it does with the files of the terminal's device connection, until
// that or the terminal ends. It is ssh's subsystem, so it is granted, recorded, gated and
// refused as there. What waits at the gate waits no longer once the browser is gone.
func (t *browserTerminal) sftp(browser context.Context, work func(files.Config) error) error {
	if !t.channels.take() {
		return session.Errorf(session.Refused, "This terminal has too much open already.").WithNext("Reload the page.")
	}
	defer t.channels.give()
	if err := t.line.open.take(t.t); err != nil {
		return err
	}
	defer t.line.open.give(t.t)
	return t.c.Do(func() error { return t.transfer(browser, work) })
}

func (t *browserTerminal) transfer(browser context.Context, work func(files.Config) error) error {
	way := session.FilesOut
	switch {
	case t.t.May(session.FilesIn):
		way = session.FilesIn
	case !t.t.May(session.FilesOut):
		t.c.Refuse("subsystem sftp", "not granted")
		return session.Errorf(session.Denied, "Files were not granted in this session.").
			WithNext("Ask for the channel files-in or files-out in a new request.")
	}
	begin, err := json.Marshal(session.ChannelOpen{Type: way, Command: "sftp"})
	if err != nil {
		return err
	}
	ctx, end := t.child()
	defer end()
	gate, loose := context.WithCancel(ctx)
	defer context.AfterFunc(browser, loose)()
	cfg := filesConfig(gate.Done(), t.c, t.t, t.device, t.device.streams.Add(1))
	open := cfg.Device
	cfg.Device = func() (gossh.Channel, <-chan *gossh.Request, error) {
		ch, requests, err := open()
		if err == nil {
			context.AfterFunc(ctx, func() { _ = ch.Close() })
		}
		return ch, requests, err
	}
	if err := cfg.Recorder.Record(session.Event{Kind: session.ChannelOpened, Stream: cfg.Stream, Data: begin}); err != nil {
		return err
	}
	defer func() { _ = cfg.Recorder.Record(session.Event{Kind: session.ChannelClosed, Stream: cfg.Stream}) }()
	return work(cfg)
}
