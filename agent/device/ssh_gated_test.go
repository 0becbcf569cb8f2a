package device_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/agent/device"
)

// counting is a device that writes down whatever carries something to it.
type counting struct {
	mu  sync.Mutex
	got []string
}

func (c *counting) note(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, what)
}

func (c *counting) seen() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.got)
}

// counted is a client of such a device.
func counted(t *testing.T) (*ssh.Client, *counting) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &counting{}
	var served sync.WaitGroup
	served.Go(func() {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		config := &ssh.ServerConfig{NoClientAuth: true}
		config.AddHostKey(signer)
		_, channels, requests, err := ssh.NewServerConn(nc, config)
		if err != nil {
			t.Error(err)
			return
		}
		served.Go(func() {
			for r := range requests {
				d.note("global " + r.Type)
				_ = r.Reply(true, nil)
			}
		})
		for nc := range channels {
			d.note("open " + nc.ChannelType())
			ch, asked, err := nc.Accept()
			if err != nil {
				return
			}
			served.Go(func() { d.channel(ch, asked) })
		}
	})
	client, err := ssh.Dial("tcp", l.Addr().String(), &ssh.ClientConfig{User: "service", HostKeyCallback: ssh.FixedHostKey(signer.PublicKey())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = client.Close(), l.Close(); served.Wait() })
	return client, d
}

func (d *counting) channel(ch ssh.Channel, asked <-chan *ssh.Request) {
	var reading sync.WaitGroup
	defer reading.Wait()
	reading.Go(func() {
		b := make([]byte, 1024)
		for {
			n, err := ch.Read(b)
			if n > 0 {
				d.note("data " + string(b[:n]))
			}
			if err != nil {
				d.note("end")
				return
			}
		}
	})
	for r := range asked {
		d.note("request " + r.Type + " " + string(r.Payload))
		_ = r.Reply(true, nil)
	}
}

// A line that forgets the gate reaches nothing, whatever it tries; within a pass the same
// goes through; and a device's own answers are heard either way.
func TestNothingIsSentPastTheGate(t *testing.T) {
	client, d := counted(t)
	passing := true
	held := func() bool { return passing }
	s := device.NewSSH(client)
	ch, _, err := s.Open(held)
	if err != nil {
		t.Fatal(err)
	}
	ways := []struct {
		name string
		try  func() error
		sent string
	}{
		{"input", func() error { _, err := ch.Write([]byte("x")); return err }, "data x"},
		{"a request", func() error { _, err := ch.SendRequest("exec", true, []byte("y")); return err }, "request exec y"},
		{"a request that wants no answer", func() error { _, err := ch.SendRequest("signal", false, []byte("z")); return err }, "request signal z"},
		{"a channel", func() error { _, _, err := s.Open(held); return err }, "open session"},
		{"end of file", func() error { return ch.CloseWrite() }, "end"},
	}
	want := []string{"open session"}
	for _, w := range ways {
		passing = false
		if err := w.try(); err == nil || !strings.Contains(err.Error(), "gate") {
			t.Errorf("%s: %v", w.name, err)
		}
		if _, err := io.WriteString(ch.Stderr(), "x"); err == nil {
			t.Error("standard error of the device was written to")
		}
		// What is known to have come after it came.
		passing = true
		if err := w.try(); err != nil {
			t.Fatalf("%s: %v", w.name, err)
		}
		want = append(want, w.sent)
		for deadline := time.Now().Add(30 * time.Second); len(d.seen()) < len(want) && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		}
		if got := d.seen(); !slices.Equal(got, want) {
			t.Fatalf("%s: the device got %q, want %q", w.name, got, want)
		}
	}
	passing = false
	if err := ch.Close(); err != nil {
		t.Errorf("an end waits for no gate: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	s.Wait()
	t.Logf("ATTACK | a line of the agent sends past the gate, in %d ways | 0 reach the device | 0 | holds", len(ways)+1)
}
