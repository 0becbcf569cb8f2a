package rdp

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/screen"
)

// console is one in this process, over TLS: it says a script, and keeps what it hears.
type console struct {
	pin   [32]byte
	heard chan []byte // inside TLS, when the client is gone
}

// serve answers one client on conn with TLS of these versions.
func serve(t *testing.T, conn net.Conn, key crypto.Signer, script []byte, cfg *tls.Config) *console {
	t.Helper()
	dir := t.TempDir()
	cert, private, pin := certificate(t, dir, key, x509.UnknownSignatureAlgorithm)
	pair, err := tls.LoadX509KeyPair(cert, private)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Certificates = []tls.Certificate{pair}
	c := &console{pin: pin, heard: make(chan []byte, 1)}
	go func() {
		defer conn.Close()
		if _, err := io.CopyN(io.Discard, conn, 19); err != nil {
			c.heard <- nil
			return
		}
		_, _ = conn.Write(tpkt([]byte{14, 0xd0, 0, 0, 0, 0, 0, 2, 0, 8, 0, 1, 0, 0, 0}))
		s := tls.Server(conn, cfg)
		go func() { _, _ = s.Write(script) }()
		b, _ := io.ReadAll(s)
		c.heard <- b
	}()
	return c
}

func pair(t *testing.T) (net.Conn, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a := dial(t, l.Addr().String())
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return a, b
}

// The first certificate is shown before anything is said; another than the known one hears
// nothing; and what TLS of the past was used is told.
func TestTheWholeWay(t *testing.T) {
	old := func() *tls.Config {
		return &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}}
	}
	today := func() *tls.Config { return &tls.Config{MinVersion: tls.VersionTLS12} }
	key := newRSA(t)
	for name, c := range map[string]struct {
		server *tls.Config
		legacy bool
		first  error
		pinned bool // another
		want   string
		used   string
	}{
		"as of today":             {server: today()},
		"nobody takes the first":  {server: today(), first: session.Errorf(session.Refused, "Nobody takes it.").WithNext("Ask."), want: "Nobody takes it"},
		"another certificate":     {server: today(), pinned: true, want: "not the pinned one"},
		"the past, not allowed":   {server: old(), want: "agree on no TLS"},
		"the past, allowed":       {server: old(), legacy: true, used: "TLS 1.0, RSA key exchange, SHA-1"},
		"today, the past allowed": {server: today(), legacy: true},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := pair(t)
			s := serve(t, far, key, opening(8, 8), c.server)
			var seen [32]byte
			cfg := Config{Login: Login{Password: "s3cret!"}, TLS: TLS{Legacy: c.legacy, First: func(pin [32]byte) error { seen = pin; return c.first }}}
			if c.pinned {
				cfg.TLS.Pin = &[sha256.Size]byte{1}
			}
			cl, err := Connect(t.Context(), near, screen.New(screen.Masks{}, keeper(forget)), cfg)
			near.Close()
			heard := <-s.heard
			if c.want != "" {
				var e *session.Error
				if !errors.As(err, &e) || !strings.Contains(e.Message, c.want) || e.Next == "" {
					t.Errorf("%v", err)
				}
				if len(heard) > 0 {
					t.Errorf("hears %d bytes", len(heard))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if seen != s.pin || cl.Legacy() != c.used {
				t.Errorf("sees %x, used %q", seen, cl.Legacy())
			}
			if !strings.Contains(string(heard), string(wide("s3cret!"))) {
				t.Error("the login is not sent")
			}
		})
	}
}

// A console that says nothing holds nobody longer than whoever waits.
func TestASilentConsole(t *testing.T) {
	near, _ := pair(t)
	ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	if _, err := Connect(ctx, near, screen.New(screen.Masks{}, keeper(forget)), Config{TLS: TLS{First: func([32]byte) error { return nil }}}); err == nil {
		t.Error("it is let in")
	}
}
