package terminal

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
)

// stage is a relay between a client and a device that writes down what reaches it.
// Unlike in production nobody cuts the device when something is amiss: what is held
// back here is held back by the relay alone.
type stage struct {
	client ssh.Channel
	mu     sync.Mutex
	got    []string // requests, "data ..." and "eof" at the device
	refuse func(session.Event) bool
	shut   bool
	done   chan struct{}
}

func (s *stage) Record(e session.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil && s.refuse(e) {
		return errors.New("disk full")
	}
	return nil
}

func (s *stage) Close(session.EndReason) error { return nil }

func (s *stage) Pass(send func() error) error {
	s.mu.Lock()
	shut := s.shut
	s.mu.Unlock()
	if shut {
		return errors.New("shut")
	}
	return send()
}

func (s *stage) Try(send func() error) error { return s.Pass(send) }

func (s *stage) saw(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, what)
}

func (s *stage) seen() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.got, ",")
}

// connect is an SSH connection on loopback, both ends.
func connect(t *testing.T) (ssh.Conn, <-chan ssh.NewChannel) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	signer, err := ssh.NewSignerFromKey(key)
	must(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	type end struct {
		channels <-chan ssh.NewChannel
		err      error
	}
	far := make(chan end, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			far <- end{err: err}
			return
		}
		config := &ssh.ServerConfig{NoClientAuth: true}
		config.AddHostKey(signer)
		_, channels, requests, err := ssh.NewServerConn(c, config)
		if err == nil {
			go ssh.DiscardRequests(requests)
		}
		far <- end{channels, err}
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	must(t, err)
	conn, _, requests, err := ssh.NewClientConn(c, "x", &ssh.ClientConfig{HostKeyCallback: ssh.FixedHostKey(signer.PublicKey())})
	must(t, err)
	go ssh.DiscardRequests(requests)
	f := <-far
	must(t, f.err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn, f.channels
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{done: make(chan struct{})}
	near, engineers := connect(t)
	device, devices := connect(t)
	go func() {
		for nc := range devices {
			ch, reqs, err := nc.Accept()
			if err != nil {
				return
			}
			go s.device(ch, reqs)
		}
	}()
	go func() {
		defer close(s.done)
		ch, reqs, err := (<-engineers).Accept()
		if err != nil {
			return
		}
		Accept(ch, Config{
			Recorder: s, Gate: s, Stream: 1, May: func(session.Channel) bool { return true },
			Passes:  func(v string) bool { return v == "LANG" },
			Device:  func() (ssh.Channel, <-chan *ssh.Request, error) { return device.OpenChannel("session", nil) },
			Refused: func(string, string) {}, Over: func() bool { return false }, Parting: func() string { return "" },
		}).Run(reqs)
	}()
	var reqs <-chan *ssh.Request
	var err error
	s.client, reqs, err = near.OpenChannel("session", nil)
	must(t, err)
	go ssh.DiscardRequests(reqs)
	return s
}

func (s *stage) device(ch ssh.Channel, reqs <-chan *ssh.Request) {
	go func() {
		buf := make([]byte, 1024)
		for {
			n, err := ch.Read(buf)
			if n > 0 {
				s.saw("data " + string(buf[:n]))
				_, _ = ch.Write([]byte("answer"))
			}
			if err != nil {
				s.saw("eof")
				return
			}
		}
	}()
	for r := range reqs {
		s.saw(r.Type)
		_ = r.Reply(true, nil)
	}
}

// hold makes the recorder fail for one kind of event, or the gate shut for kind 0.
func (s *stage) hold(kind session.EventKind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if kind == 0 {
		s.shut = true
		return
	}
	s.refuse = func(e session.Event) bool { return e.Kind == kind }
}

func (s *stage) until(t *testing.T, what string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); s.seen() != what; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the device saw %q, want %q", s.seen(), what)
		}
	}
}

func (s *stage) finish(t *testing.T) {
	t.Helper()
	_ = s.client.Close()
	select {
	case <-s.done:
	case <-time.After(30 * time.Second):
		t.Fatal("the relay does not end")
	}
}

var winch = []byte{0, 0, 0, 80, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0}

// Every step on its own: what cannot be recorded, or meets a shut gate, does not reach
// the device, and what came before did.
func TestNothingPassesUnrecorded(t *testing.T) {
	pty := ssh.Marshal(Pty{Term: "xterm", Cols: 80, Rows: 24})
	ask := func(kind string, payload []byte) func(*stage) {
		return func(s *stage) { _, _ = s.client.SendRequest(kind, true, payload) }
	}
	write := func(s *stage) { _, _ = s.client.Write([]byte("x")) }
	shell, window, signal := ask("shell", nil), ask("window-change", winch), ask("signal", ssh.Marshal(oneString{"INT"}))
	for _, test := range []struct {
		name   string
		kind   session.EventKind
		before []func(*stage)
		step   func(*stage)
		seen   string
	}{
		{"terminal", session.Marker, nil, ask("pty-req", pty), ""},
		{"shell", session.ChannelOpened, nil, shell, ""},
		{"command", session.ChannelOpened, nil, ask("exec", ssh.Marshal(oneString{"id"})), ""},
		{"input", session.Input, []func(*stage){shell}, write, "shell"},
		{"end of file", session.InputEnd, []func(*stage){shell}, func(s *stage) { _ = s.client.CloseWrite() }, "shell"},
		{"resize", session.Resize, []func(*stage){ask("pty-req", pty), shell}, window, "pty-req,shell"},
		{"signal", session.Signal, []func(*stage){shell}, signal, "shell"},
	} {
		for _, gate := range []bool{false, true} {
			t.Run(test.name, func(t *testing.T) {
				s := newStage(t)
				for _, b := range test.before {
					b(s)
				}
				kind := test.kind
				if gate {
					kind = 0
				}
				s.until(t, test.seen)
				s.hold(kind)
				test.step(s)
				// A request that is answered after the step shows that the step is through.
				_, _ = s.client.SendRequest("probe", true, nil)
				time.Sleep(20 * time.Millisecond)
				got := s.seen()
				if test.kind == session.ChannelOpened {
					got = strings.TrimSuffix(got, "eof") // the channel was closed, as it should
				}
				if got != test.seen {
					t.Errorf("the device saw %q, want %q", got, test.seen)
				}
				s.finish(t)
			})
		}
	}
}

// Output that cannot be recorded is not shown.
func TestNoOutputUnrecorded(t *testing.T) {
	s := newStage(t)
	_, _ = s.client.SendRequest("shell", true, nil)
	s.hold(session.Output)
	_, _ = s.client.Write([]byte("x"))
	s.until(t, "shell,data x")
	read := make(chan int, 1)
	go func() { n, _ := s.client.Read(make([]byte, 10)); read <- n }()
	select {
	case n := <-read:
		if n > 0 {
			t.Errorf("%d bytes were shown", n)
		}
	case <-time.After(30 * time.Millisecond):
	}
	s.finish(t)
}
