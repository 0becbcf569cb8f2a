package sshd

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
)

func stream(t *testing.T, c *gossh.Client) gossh.Channel {
	t.Helper()
	ch, reqs, err := c.OpenChannel("direct-tcpip", direct(granted, 22))
	if err != nil {
		t.Fatal(err)
	}
	go gossh.DiscardRequests(reqs)
	return ch
}

// Every byte arrives, in order, both ways at once, and each end of file passes on.
func TestRelayIsFaithful(t *testing.T) {
	o := openDoor(t)
	ch := stream(t, o.signedIn(t, jana))
	sent := make([]byte, 3<<20+17)
	if _, err := rand.Read(sent); err != nil {
		t.Fatal(err)
	}
	var writing sync.WaitGroup
	writing.Go(func() {
		if _, err := io.Copy(ch, bytes.NewReader(sent)); err != nil {
			t.Error(err)
		}
		if err := ch.CloseWrite(); err != nil {
			t.Error(err)
		}
	})
	got := sha256.New()
	n, err := io.Copy(got, ch)
	writing.Wait()
	if want := sha256.Sum256(sent); err != nil || n != int64(len(sent)) || !bytes.Equal(got.Sum(nil), want[:]) {
		t.Errorf("%d of %d bytes came back, %v", n, len(sent), err)
	}
}

// The agent may answer after the engineer's end of file, and the other way round.
func TestHalfClose(t *testing.T) {
	o := openDoor(t)
	done := make(chan struct{})
	o.agent = func(c net.Conn) {
		defer close(done)
		defer c.Close()
		if _, err := io.WriteString(c, "speaking first"); err != nil {
			t.Error(err)
		}
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Error(err)
		}
		got, err := io.ReadAll(c)
		if err != nil || string(got) != "last word" {
			t.Errorf("the agent read %q, %v", got, err)
		}
	}
	ch := stream(t, o.signedIn(t, jana))
	got, err := io.ReadAll(ch)
	if err != nil || string(got) != "speaking first" {
		t.Fatalf("read %q, %v", got, err)
	}
	if _, err := io.WriteString(ch, "last word"); err != nil {
		t.Fatal(err)
	}
	if err := ch.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	<-done
}

// A connection without half-close still ends when the engineer does.
func TestStreamWithoutHalfClose(t *testing.T) {
	o := openDoor(t)
	o.pipe = net.Pipe
	ch := stream(t, o.signedIn(t, jana))
	if err := ch.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(ch); err != nil || len(got) != 0 {
		t.Errorf("read %q, %v", got, err)
	}
}

// When the engineer's connection dies, the agent's stream is closed at once, also
// when the agent takes an end of file for no reason to stop.
func TestEngineerVanishes(t *testing.T) {
	o := openDoor(t)
	noticed, release := make(chan struct{}), make(chan struct{})
	o.agent = func(c net.Conn) {
		defer c.Close()
		_, _ = io.Copy(io.Discard, c)
		close(noticed)
		<-release
	}
	c := o.signedIn(t, jana)
	stream(t, c)
	c.Close()
	<-noticed
	o.empty(t)
	close(release)
}

// An engineer who is barred from a site loses the streams that lead there, and keeps
// the connection; nobody else loses anything.
func TestBarredInMidStream(t *testing.T) {
	o := openDoor(t)
	hers, his := o.signedIn(t, jana), o.signedIn(t, luis)
	a, b := stream(t, hers), stream(t, his)
	alive := func(who string, ch gossh.Channel) {
		t.Helper()
		if _, err := ch.Write([]byte("x")); err != nil {
			t.Errorf("%s: %v", who, err)
		}
		if _, err := io.ReadFull(ch, make([]byte, 1)); err != nil {
			t.Errorf("%s: %v", who, err)
		}
	}
	o.bar(jana, "XYZ")
	alive("barred elsewhere", a)
	o.bar(jana, "NGH")
	if _, err := io.ReadAll(a); err != nil { // returns when the stream is cut
		t.Logf("her stream ended: %v", err)
	}
	alive("another engineer", b)
	o.bar(jana, "")
	alive("her connection", stream(t, hers))
	if n := o.DropAt(luis, "XYZ"); n != 0 {
		t.Errorf("%d streams cut at another site", n)
	}
}

// A grant that ends between two streams of one connection stops the second.
func TestEveryStreamAsksAgain(t *testing.T) {
	o := openDoor(t)
	c := o.signedIn(t, jana)
	stream(t, c)
	o.desk.mu.Lock()
	o.refusal = session.Errorf(session.Expired, "The session is over.")
	o.desk.mu.Unlock()
	_, _, err := c.OpenChannel("direct-tcpip", direct(granted, 22))
	if got := refusedChannel(t, err).Message; got != "The session is over." {
		t.Errorf("refused with %q", got)
	}
}

// A panic behind the door ends that connection and no other.
func TestPanicStaysInItsConnection(t *testing.T) {
	o := openDoor(t)
	other := o.signedIn(t, luis)
	fine := stream(t, other)
	o.pipe = func() (net.Conn, net.Conn) {
		a, b := net.Pipe()
		return bomb{a}, b
	}
	c := o.signedIn(t, jana)
	if _, _, err := c.OpenChannel("direct-tcpip", direct(granted, 22)); err == nil {
		_ = c.Wait()
	}
	if _, err := fine.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	if !strings.Contains(o.log.String(), "panic in a connection") {
		t.Error("the panic is not in the log")
	}
}

type bomb struct{ net.Conn }

func (bomb) Read([]byte) (int, error) { panic("bomb") }
