package broker

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/session/lobby"
)

// openPort serves pages on a port with few places for strangers. A call with a cookie
// counts as one of somebody signed in.
func openPort(t *testing.T, most, share int) (addr string) { return openSpare(t, most, share, 0) }

func openSpare(t *testing.T, most, share int, spare uint64) (addr string) {
	t.Helper()
	p := newPort(&tls.Config{}, nil, func(_ context.Context, c *tls.Conn) { c.Close() }, lobby.NewKnown(), slog.New(slog.DiscardHandler))
	p.strangers = lobby.New(most, share)
	p.spare = spare
	return runPort(t, p)
}

func runPort(t *testing.T, p *port) (addr string) {
	t.Helper()
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cookie") != "" {
			lobby.Proven(r.Context())
		}
		if r.Header.Get("Upgrade") != "" {
			takeOver(w)
			return
		}
		_, _ = io.WriteString(w, "hello")
	})}
	p.follow(web)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = p.serve(ctx, ln) })
	running.Go(func() { _ = web.Serve(p.web) })
	t.Cleanup(func() { _ = web.Close(); cancel(); running.Wait() })
	return ln.Addr().String()
}

// takeOver makes a connection an echo, as a WebSocket becomes a stream of its own.
func takeOver(w http.ResponseWriter) {
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
	_, _ = io.Copy(c, rw)
}

// echoes reports whether a connection that was taken over lives.
func (c *caller) echoes() error {
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(c, "ping"); err != nil {
		return err
	}
	_, err := io.ReadFull(c.r, make([]byte, 4))
	return err
}

// caller is a connection of an address of ours; any of 127/8 is.
type caller struct {
	net.Conn
	r *bufio.Reader
}

func callFrom(t *testing.T, source, addr string) *caller {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	c, err := d.DialContext(t.Context(), "tcp", addr)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return &caller{c, bufio.NewReader(c)}
}

// get makes a call and reads the answer.
func (c *caller) get(header string) error {
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n"+header+"\r\n"); err != nil {
		return err
	}
	answer, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

// over waits for the port to hang up.
func (c *caller) over(t *testing.T) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.Copy(io.Discard, c.r); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the port did not hang up")
	}
}

// Connections that prove nothing take the port from nobody: not from their own network, not
// from others, and never from who has signed in.
func TestStrangersDoNotCloseThePort(t *testing.T) {
	addr := openPort(t, 8, 4)
	known := callFrom(t, "127.0.0.1", addr)
	must(t, known.get("Cookie: a=b\r\n"))

	var silent []*caller
	for range 4 {
		silent = append(silent, callFrom(t, "127.0.0.1", addr))
	}
	must(t, callFrom(t, "127.0.0.1", addr).get(""))
	silent[0].over(t)
	for _, source := range []string{"127.0.1.1", "127.0.1.2", "127.0.1.3", "127.0.1.4"} {
		must(t, callFrom(t, source, addr).get("")) // and is idle from now on
	}
	for range 20 {
		must(t, callFrom(t, "127.0.2.1", addr).get(""))
	}
	must(t, known.get(""))
	must(t, callFrom(t, "127.0.0.1", addr).get(""))
}

// A connection that became a WebSocket is no stranger's, though it makes no call any more:
// where somebody had signed in, a flood from its own network and from others leaves it alone.
func TestWhatWasTakenOverIsNotShed(t *testing.T) {
	addr := openPort(t, 8, 4)
	live := callFrom(t, "127.0.0.1", addr)
	must(t, live.get("Cookie: a=b\r\nConnection: Upgrade\r\nUpgrade: echo\r\n"))
	must(t, live.echoes())
	for _, network := range []string{"127.0.0.1", "127.0.1.1", "127.0.2.1"} {
		for range 40 {
			callFrom(t, network, addr)
		}
	}
	for range 4 {
		must(t, callFrom(t, "127.0.0.1", addr).get("")) // the port has seen the flood
	}
	must(t, live.echoes())
}

// A network that nobody proved anything from gets its share of handshakes and no more, while
// others go on, and so does it once somebody has signed in there.
func TestHandshakesOfANetworkAreBounded(t *testing.T) {
	own := httptest.NewTLSServer(nil)
	defer own.Close()
	cert := &tls.Config{Certificates: own.TLS.Certificates, MinVersion: tls.VersionTLS13}
	p := newPort(&tls.Config{}, cert, func(_ context.Context, c *tls.Conn) { c.Close() }, lobby.NewKnown(), slog.New(slog.DiscardHandler))
	known := lobby.NewKnown()
	p.strangers.Slow(time.Hour, 3, known)
	addr := runPort(t, p)
	shake := func(source, header string) error {
		c := callFrom(t, source, addr)
		tc := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true}) // #nosec G402
		_ = tc.SetDeadline(time.Now().Add(30 * time.Second))
		defer tc.Close()
		return (&caller{tc, bufio.NewReader(tc)}).get(header)
	}
	for range 3 {
		must(t, shake("127.0.1.1", ""))
	}
	if err := shake("127.0.1.2", ""); err == nil {
		t.Error("a handshake beyond the network's share")
	}
	must(t, shake("127.0.2.1", "Cookie: a=b\r\n")) // signed in
	for range 6 {
		must(t, shake("127.0.2.2", ""))
	}
	if err := shake("127.0.1.1", ""); err == nil {
		t.Error("the first network has its share again")
	}
}

// Whoever stops taking an answer is cut off; whoever takes it slowly is not, however long
// it lasts; a limit that the server sets counts as well; what was taken over is left alone.
func TestWritesHaveATime(t *testing.T) {
	paced := func(t *testing.T) (g *guest, far net.Conn) {
		near, far := net.Pipe()
		g = &guest{Conn: near}
		g.pace(true)
		t.Cleanup(func() { near.Close(); far.Close() })
		return g, far
	}
	write := func(g *guest, pieces int) (time.Duration, error) {
		began := time.Now()
		_, err := g.Write(make([]byte, pieces*writePiece))
		return time.Since(began), err
	}
	synctest.Test(t, func(t *testing.T) {
		g, _ := paced(t)
		if took, err := write(g, 1); !errors.Is(err, os.ErrDeadlineExceeded) || took != writeWait {
			t.Errorf("a browser that takes nothing: %v after %v", err, took)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		g, far := paced(t)
		var reader sync.WaitGroup
		reader.Go(func() {
			for piece := make([]byte, writePiece); ; time.Sleep(writeWait - time.Second) {
				if _, err := io.ReadFull(far, piece); err != nil {
					return
				}
			}
		})
		if took, err := write(g, 10); err != nil || took < 5*writeWait {
			t.Errorf("a slow download: %v after %v", err, took)
		}
		far.Close()
		reader.Wait()
	})
	synctest.Test(t, func(t *testing.T) {
		g, _ := paced(t)
		must(t, g.SetWriteDeadline(time.Now().Add(time.Second)))
		if took, err := write(g, 1); !errors.Is(err, os.ErrDeadlineExceeded) || took != time.Second {
			t.Errorf("a limit of the server's own: %v after %v", err, took)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		g, far := paced(t)
		_, err := g.renew()
		must(t, err)
		g.pace(false)
		time.AfterFunc(10*writeWait, func() { _, _ = io.ReadFull(far, make([]byte, writePiece)) })
		if took, err := write(g, 1); err != nil || took != 10*writeWait {
			t.Errorf("a connection that was taken over: %v after %v", err, took)
		}
	})
}

// Whoever tunes an agent's connection finds it under ours.
func TestTheLinkFindsTheConnectionUnderAGuest(t *testing.T) {
	g := &guest{Conn: &net.TCPConn{}}
	under, ok := tls.Server(g, &tls.Config{}).NetConn().(interface{ NetConn() net.Conn })
	if !ok || under.NetConn() != g.Conn {
		t.Error("it is hidden")
	}
}

// Where descriptors run low no more strangers come in, so that whoever is proven goes on.
func TestThePortTakesNoStrangersWhenDescriptorsRunLow(t *testing.T) {
	if maxDescriptors() == 0 {
		return // the system does not say
	}
	if callFrom(t, "127.0.0.1", openSpare(t, 9, 9, 1<<40)).get("") != nil {
		t.Error("turned away though there are enough")
	}
	if callFrom(t, "127.0.0.1", openSpare(t, 9, 9, 1)).get("") == nil {
		t.Error("taken in though there are none to spare")
	}
	t.Log("ATTACK | connections that are never read use up the broker's descriptors | a quarter of them is not for strangers | turned away past that | holds")
}
