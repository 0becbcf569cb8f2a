package sshd

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
)

func addr(s string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s)) }

// silent is a stranger who is greeted and says nothing.
func (o *opened) silent(t *testing.T) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", o.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if _, err := bufio.NewReaderSize(nc, 16).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return nc
}

// stays reports whether the door has not hung up on a stranger.
func stays(nc net.Conn) bool {
	_ = nc.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
	_, err := io.Copy(io.Discard, nc)
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// greeted reports whether the door greets a connection of an address of ours; any of 127/8 is.
func (o *opened) greeted(t *testing.T, source string) bool {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	nc, err := d.DialContext(t.Context(), "tcp", o.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetReadDeadline(time.Now().Add(30 * time.Second))
	_, err = bufio.NewReaderSize(nc, 16).ReadString('\n')
	return err == nil
}

// A network that nobody signed in from gets its share of handshakes and no more. Others, and
// one that somebody signed in from, are not slowed.
func TestHandshakesOfANetworkAreBounded(t *testing.T) {
	o := openDoor(t)
	n := 0
	for ; n < 20*shakeBurst && o.greeted(t, "127.0.2.1"); n++ {
	}
	if n < shakeBurst || n == 20*shakeBurst {
		t.Fatalf("%d handshakes of a stranger's network", n)
	}
	o.signedIn(t, jana)
	for range 2 * shakeBurst {
		if !o.greeted(t, "127.0.0.7") {
			t.Fatal("a network that somebody signed in from was slowed")
		}
	}
}

// The last descriptors are for networks that are known.
func TestLastDescriptorsAreForKnownNetworks(t *testing.T) {
	var low atomic.Bool
	o := openDoor(t, func(c *Config) { c.Full = func(net.Conn) bool { return low.Load() } })
	o.signedIn(t, jana)
	low.Store(true)
	if o.greeted(t, "127.0.2.1") {
		t.Error("a stranger took one of the last descriptors")
	}
	o.signedIn(t, jana)
	low.Store(false)
	if !o.greeted(t, "127.0.2.1") {
		t.Error("a stranger stays away though there are descriptors again")
	}
}

// Strangers who say nothing keep nobody out, their own neighbours neither: when they hold
// all that one network may, the oldest of them goes, and no more than one for each newcomer.
func TestSilentStrangersDoNotKeepEngineersOut(t *testing.T) {
	o := openDoor(t)
	var strangers []net.Conn
	for range maxStrangersNetwork {
		strangers = append(strangers, o.silent(t))
	}
	var engineers []*gossh.Client
	for range 20 { // the first takes a place, and signing in frees it for the next
		engineers = append(engineers, o.signedIn(t, jana))
	}
	_ = strangers[0].SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.Copy(io.Discard, strangers[0]); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the oldest stranger stayed")
	}
	for i, nc := range strangers[1:] {
		if !stays(nc) {
			t.Errorf("stranger %d had to go", i+1)
		}
	}
	o.silent(t) // the free place
	o.silent(t)
	_ = strangers[1].SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.Copy(io.Discard, strangers[1]); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("there is one stranger more than one network may have")
	}
	for range 2 * maxStrangersNetwork {
		o.silent(t)
	}
	for _, c := range engineers { // who has signed in is never shed
		if _, _, err := c.SendRequest("keepalive@openssh.com", true, nil); err != nil {
			t.Errorf("an engineer was hung up on: %v", err)
		}
	}
}

func TestConnectionsOfOneEngineer(t *testing.T) {
	o := openDoor(t)
	signer, _ := o.key(t, jana)
	for i := range maxPerEngineer {
		if _, err := o.client(t, User, gossh.PublicKeys(signer)); err != nil {
			t.Fatalf("connection %d: %v", i+1, err)
		}
	}
	var banner string
	_, err := gossh.Dial("tcp", o.addr, &gossh.ClientConfig{
		User: User, Auth: []gossh.AuthMethod{gossh.PublicKeys(signer)},
		HostKeyCallback: gossh.FixedHostKey(o.signers[0].PublicKey()), HostKeyAlgorithms: []string{gossh.KeyAlgoED25519},
		BannerCallback: func(m string) error { banner += m; return nil },
	})
	if err == nil || banner != wordsTooMany {
		t.Errorf("connection 65: %v, banner %q", err, banner)
	}
	o.signedIn(t, luis)
}

// queue is a listener fed by a test.
type queue struct {
	conns chan net.Conn
	done  chan struct{}
}

func (q *queue) Accept() (net.Conn, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case <-q.done:
		return nil, net.ErrClosed
	}
}
func (q *queue) Close() error   { close(q.done); return nil }
func (q *queue) Addr() net.Addr { return addr("127.0.0.1:22") }

// pipe is net.Pipe with room for what both sides say at once.
func pipe() (near, far net.Conn) {
	here, there := make(chan []byte, 1<<10), make(chan []byte, 1<<10)
	over := make(chan struct{})
	hangUp := sync.OnceFunc(func() { close(over) })
	return &end{in: here, out: there, over: over, hangUp: hangUp}, &end{in: there, out: here, over: over, hangUp: hangUp}
}

type end struct {
	net.Conn // no deadlines here
	in, out  chan []byte
	rest     []byte
	over     chan struct{}
	hangUp   func()
}

func (e *end) Read(p []byte) (int, error) {
	if len(e.rest) == 0 {
		select {
		case e.rest = <-e.in:
		case <-e.over:
			return 0, io.EOF
		}
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

func (e *end) Write(p []byte) (int, error) {
	select {
	case <-e.over:
		return 0, net.ErrClosed
	case e.out <- bytes.Clone(p):
		return len(p), nil
	}
}

func (e *end) Close() error                { e.hangUp(); return nil }
func (e *end) RemoteAddr() net.Addr        { return addr("127.0.0.1:4242") }
func (e *end) LocalAddr() net.Addr         { return addr("127.0.0.1:22") }
func (e *end) SetDeadline(time.Time) error { return nil }

// serveQueue runs a server inside a synctest bubble.
func serveQueue(t *testing.T) (*Server, *desk, *queue, func()) {
	t.Helper()
	d := newDesk(t)
	s, err := New(Config{HostKeyFile: filepath.Join(t.TempDir(), "k"), Access: d, Streams: d})
	if err != nil {
		t.Fatal(err)
	}
	q := &queue{conns: make(chan net.Conn), done: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, q) }()
	return s, d, q, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// Whoever says next to nothing is gone after ten seconds, and whoever has not proven a key
// after a minute, at whatever step they dawdle, and however busy they look.
func TestHandshakeEnds(t *testing.T) {
	lines := func(each string) func(net.Conn) { // before its version a peer may send other lines
		return func(c net.Conn) {
			for err := error(nil); err == nil; time.Sleep(time.Second) {
				_, err = io.WriteString(c, each)
			}
		}
	}
	for name, peer := range map[string]struct {
		speak func(net.Conn)
		after time.Duration
	}{
		"says nothing":   {func(net.Conn) {}, greetTime},
		"version only":   {func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-x\r\n") }, greetTime},
		"byte by byte":   {drip, greetTime},
		"line by line":   {lines("hello\r\n"), greetTime},
		"long and lines": {lines(strings.Repeat("hello ", 10) + "\r\n"), session.ProvingTime},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, _, q, stop := serveQueue(t)
				near, far := pipe()
				q.conns <- far
				began := time.Now()
				go peer.speak(near)
				_, _ = io.Copy(io.Discard, near)
				if took := time.Since(began); took != peer.after {
					t.Errorf("hung up after %v, want %v", took, peer.after)
				}
				time.Sleep(time.Minute) // speak notices
				stop()
			})
		})
	}
}

// Nor does an exchange of keys buy time: only a proven key does.
func TestHandshakeEndsWithAProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, d, q, stop := serveQueue(t)
		known, _ := d.key(t, jana)
		near, far := pipe()
		q.conns <- far
		began := time.Now()
		c := &raw{nc: near, r: bufio.NewReader(near)}
		if err := c.handshake(); err != nil {
			t.Fatal(err)
		}
		for c.query(User, known.PublicKey()) == msgPKOK {
			time.Sleep(700 * time.Millisecond)
		}
		if took := time.Since(began); took < session.ProvingTime || took > session.ProvingTime+time.Second {
			t.Errorf("hung up after %v, want %v", took, session.ProvingTime)
		}
		stop()
	})
}

func drip(c net.Conn) {
	for {
		if _, err := c.Write([]byte("S")); err != nil {
			return
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// A proven connection without a stream is not kept for ever; one with a stream is.
func TestIdleConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d, q, stop := serveQueue(t)
		d.pipe = pipe
		signer, _ := d.key(t, jana)
		near, far := pipe()
		q.conns <- far
		conn, chans, reqs, err := gossh.NewClientConn(near, "", &gossh.ClientConfig{
			User: User, Auth: []gossh.AuthMethod{gossh.PublicKeys(signer)}, HostKeyCallback: gossh.FixedHostKey(s.signers[0].PublicKey()), HostKeyAlgorithms: []string{gossh.KeyAlgoED25519},
		})
		if err != nil {
			t.Fatal(err)
		}
		client := gossh.NewClient(conn, chans, reqs)
		time.Sleep(idleTime - time.Second) // a while without any stream is fine
		ch := stream(t, client)
		time.Sleep(10 * idleTime)
		if _, err := ch.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(ch, make([]byte, 1)); err != nil {
			t.Fatalf("a stream of a quiet engineer ended: %v", err)
		}
		ch.Close()
		synctest.Wait()
		began := time.Now()
		_ = client.Wait()
		if took := time.Since(began); took != idleTime {
			t.Errorf("hung up after %v, want %v", took, idleTime)
		}
		stop()
	})
}

// A connection that never opens a stream does not stay either.
func TestNeverUsedConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d, q, stop := serveQueue(t)
		signer, _ := d.key(t, jana)
		near, far := pipe()
		q.conns <- far
		conn, chans, reqs, err := gossh.NewClientConn(near, "", &gossh.ClientConfig{
			User: User, Auth: []gossh.AuthMethod{gossh.PublicKeys(signer)}, HostKeyCallback: gossh.FixedHostKey(s.signers[0].PublicKey()), HostKeyAlgorithms: []string{gossh.KeyAlgoED25519},
		})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_ = gossh.NewClient(conn, chans, reqs).Wait()
		if took := time.Since(began); took != idleTime {
			t.Errorf("hung up after %v, want %v", took, idleTime)
		}
		stop()
	})
}

// What the agent has ended does not stay half open for an engineer who says nothing.
func TestLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, d, q, stop := serveQueue(t)
		d.pipe = pipe
		d.agent = func(c net.Conn) { c.Close() }
		signer, _ := d.key(t, jana)
		near, far := pipe()
		q.conns <- far
		conn, chans, reqs, err := gossh.NewClientConn(near, "", &gossh.ClientConfig{
			User: User, Auth: []gossh.AuthMethod{gossh.PublicKeys(signer)}, HostKeyCallback: gossh.FixedHostKey(s.signers[0].PublicKey()), HostKeyAlgorithms: []string{gossh.KeyAlgoED25519},
		})
		if err != nil {
			t.Fatal(err)
		}
		client := gossh.NewClient(conn, chans, reqs)
		ch, ended, err := client.OpenChannel("direct-tcpip", direct(granted, 22))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(ch); err != nil || len(got) != 0 {
			t.Fatalf("read %q, %v", got, err)
		}
		began := time.Now()
		for range ended { // until the server closes the channel
		}
		if took := time.Since(began); took != lingerTime {
			t.Errorf("closed after %v, want %v", took, lingerTime)
		}
		client.Close()
		stop()
	})
}

// Serve ends when it is told to, with everybody in it.
func TestServeEndsItsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, q, stop := serveQueue(t)
		near, far := pipe()
		q.conns <- far
		synctest.Wait()
		go func() {
			_, _ = io.Copy(io.Discard, near)
			near.Close()
		}()
		stop()
	})
}

// A listener that others close is an error; one that stumbles is not.
func TestListenerTroubles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, _, stop := serveQueue(t)
		ln := &stumbling{queue{conns: make(chan net.Conn), done: make(chan struct{})}, 20}
		if err := s.Serve(t.Context(), ln); err == nil {
			t.Error("no error for a listener that somebody closed")
		}
		if ln.left != 0 {
			t.Error("gave up on a listener that stumbled")
		}
		stop()
	})
}

type stumbling struct {
	queue
	left int
}

func (s *stumbling) Accept() (net.Conn, error) {
	if s.left == 0 {
		return nil, net.ErrClosed
	}
	s.left--
	return nil, session.Errorf(session.Internal, "too many open files")
}

func TestAlgorithms(t *testing.T) {
	o := openDoor(t)
	signer, _ := o.key(t, jana)
	try := func(c gossh.Config, host ...string) error {
		pinned := o.signers[0]
		if len(host) == 0 {
			host = []string{gossh.KeyAlgoED25519}
		} else if host[0] == gossh.KeyAlgoECDSA256 {
			pinned = o.signers[1]
		}
		conn, err := gossh.Dial("tcp", o.addr, &gossh.ClientConfig{
			Config: c, User: User, Auth: []gossh.AuthMethod{gossh.PublicKeys(signer)},
			HostKeyAlgorithms: host, HostKeyCallback: gossh.FixedHostKey(pinned.PublicKey()),
		})
		if err == nil {
			conn.Close()
		}
		return err
	}
	good, bad := gossh.SupportedAlgorithms(), gossh.InsecureAlgorithms()
	allowed := map[string]bool{
		"mlkem768x25519-sha256": true, "curve25519-sha256": true, "curve25519-sha256@libssh.org": true,
		"aes256-gcm@openssh.com": true, "aes128-gcm@openssh.com": true, "chacha20-poly1305@openssh.com": true,
		"ecdh-sha2-nistp256": true, "aes256-ctr": true, "aes128-ctr": true,
	}
	for _, k := range append(good.KeyExchanges, bad.KeyExchanges...) {
		if err := try(gossh.Config{KeyExchanges: []string{k}}); (err == nil) != allowed[k] {
			t.Errorf("key exchange %s: %v", k, err)
		}
	}
	for _, c := range append(good.Ciphers, bad.Ciphers...) {
		if err := try(gossh.Config{Ciphers: []string{c}}); (err == nil) != allowed[c] {
			t.Errorf("cipher %s: %v", c, err)
		}
	}
	for _, kind := range []string{gossh.KeyAlgoED25519, gossh.KeyAlgoECDSA256} {
		if err := try(gossh.Config{}, kind); err != nil {
			t.Errorf("host key %s: %v", kind, err)
		}
	}
}
