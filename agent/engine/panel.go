package engine

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"strings"
	"sync"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/terminal"
)

// filePanel does what a browser asks about files. Nothing is kept of what it is given.
type filePanel interface {
	Handle(op []byte)               // an operation, JSON
	Data(id uint32, p []byte) error // of an upload
	End(id uint32)                  // of an upload
	Credit(id uint32, n uint32)     // for a download
}

// files hands what concerns files to the panel, which the first of it makes.
func (s *seat) files(f attach.Frame) error {
	s.mu.Lock()
	if s.state.panel == nil {
		s.state.panel = s.openPanel()
	}
	panel := s.state.panel
	s.mu.Unlock()
	if f.Type == attach.TypeFiles {
		panel.Handle(f.Payload)
		return nil
	}
	id := binary.BigEndian.Uint32(f.Payload)
	switch f.Type {
	case attach.TypeData:
		return panel.Data(id, f.Payload[4:])
	case attach.TypeEnd:
		panel.End(id)
	case attach.TypeCredit:
		panel.Credit(id, binary.BigEndian.Uint32(f.Payload[4:]))
	}
	return nil
}

// openPanel makes the seat's panel. It is called with mu held. A panel works through
// sftp, answers by answer and sends what it downloads by download.
func (s *seat) openPanel() filePanel { return noFiles{s} }

// noFiles answers for a panel that is not there.
type noFiles struct{ s *seat }

func (n noFiles) Handle(op []byte) {
	var asked struct {
		ID json.Number `json:"id"`
	}
	if json.Unmarshal(op, &asked) != nil || asked.ID == "" {
		asked.ID = "0"
	}
	n.s.answer(struct {
		ID    json.Number    `json:"id"`
		Error attach.Refused `json:"error"`
	}{asked.ID, attach.Refused{Kind: session.Refused, Message: "Files are not built in.", Next: "Use sftp or scp for now."}})
}

func (noFiles) Data(uint32, []byte) error { return nil }
func (noFiles) End(uint32)                {}
func (noFiles) Credit(uint32, uint32)     {}

// download sends bytes of a file, when there is room for them.
func (s *seat) download(id uint32, p []byte) error {
	for {
		s.mu.Lock()
		sock := s.state.sock
		if sock == nil || sock.gone() {
			s.mu.Unlock()
			return net.ErrClosed
		}
		full := sock.out.full()
		if full == nil {
			sock.send(attach.TypeData, binary.BigEndian.AppendUint32(nil, id), p)
			s.mu.Unlock()
			return nil
		}
		s.mu.Unlock()
		select {
		case <-full:
		case <-sock.dead:
		case <-sock.parted:
		case <-s.left:
			return net.ErrClosed
		}
	}
}

// credit allows a browser more bytes of an upload.
func (s *seat) credit(id, n uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.sock != nil {
		s.state.sock.send(attach.TypeCredit, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, id), n))
	}
}

// sftp begins a file transfer on the seat's device connection and returns the client's
// end of it. It is ssh's subsystem, so it is granted, recorded, gated and refused as
// there; what a refusal says goes to said. The transfer ends when the pipe is closed,
// and the pipe is closed when the seat ends.
func (s *seat) sftp(said func(line string)) (io.ReadWriteCloser, error) {
	near, far := net.Pipe()
	ch := &pipeChannel{Conn: far, requests: make(chan *gossh.Request, 1), closed: make(chan struct{})}
	cfg := s.c.relayConfig(s.p, s.leg)
	cfg.Said = said
	r := terminal.New(ch, cfg)
	if !s.c.enter() {
		return nil, errOver
	}
	if !s.c.takeChannel() {
		s.c.leave()
		return nil, session.Errorf(session.Refused, "This terminal has too much open already.").WithNext("Reload the page.")
	}
	ch.requests <- &gossh.Request{Type: "subsystem", Payload: gossh.Marshal(struct{ Name string }{"sftp"})}
	go func() { // the connection waits for its handlers
		defer s.c.leave()
		defer s.c.giveChannel()
		var watching sync.WaitGroup
		defer watching.Wait()
		defer ch.Close()
		watching.Go(func() {
			select {
			case <-s.left:
				_ = ch.Close()
			case <-ch.closed:
			}
		})
		if s.c.add(r) {
			defer s.c.remove(r)
			r.Run(ch.requests)
		}
	}()
	return near, nil
}

// pipeChannel is the engineer's side of a file transfer, as a relay sees it.
type pipeChannel struct {
	net.Conn
	requests chan *gossh.Request
	closed   chan struct{}
	once     sync.Once
}

var _ gossh.Channel = (*pipeChannel)(nil)

func (c *pipeChannel) Close() error {
	c.once.Do(func() {
		_ = c.Conn.Close()
		close(c.closed)
		close(c.requests)
	})
	return nil
}

func (c *pipeChannel) CloseWrite() error                              { return nil }
func (c *pipeChannel) SendRequest(string, bool, []byte) (bool, error) { return true, nil }

// Stderr goes nowhere: refusals are said.
func (c *pipeChannel) Stderr() io.ReadWriter {
	return struct {
		io.Reader
		io.Writer
	}{strings.NewReader(""), io.Discard}
}

// answer sends an answer about files.
func (s *seat) answer(document any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.sock != nil {
		s.state.sock.document(attach.TypeFiles, document)
	}
}
