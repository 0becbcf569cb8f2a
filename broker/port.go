package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/session/link"
)

// port is the broker's one public port. Agents and browsers share it: a TLS hello
// that offers ALPN sallyport/1 is the link, everything else is the web - over TLS
// when there is a certificate, in plain HTTP on loopback otherwise.
type port struct {
	link func(context.Context, *tls.Conn)
	tls  *tls.Config                // answers link and web by ALPN
	cert atomic.Pointer[tls.Config] // the web's, replaced as a whole
	web  *handoff
	// plain is whether HTTP without TLS is answered (loopback demonstrations).
	plain bool
	log   *slog.Logger
}

func newPort(linkTLS, webTLS *tls.Config, serve func(context.Context, *tls.Conn), log *slog.Logger) *port {
	p := &port{link: serve, web: &handoff{conns: make(chan net.Conn), closed: make(chan struct{})}, plain: webTLS == nil, log: log}
	p.cert.Store(webTLS)
	p.tls = &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if slices.Contains(hello.SupportedProtos, link.ALPN) {
				return linkTLS, nil
			}
			if own := p.cert.Load(); own != nil {
				return own, nil
			}
			return nil, errors.New("this port speaks TLS to agents only")
		},
	}
	return p
}

// serve accepts until ctx ends, and waits for what it started.
func (p *port) serve(ctx context.Context, ln net.Listener) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer p.web.Close()
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	slots := make(chan struct{}, maxHandshakes)
	for {
		conn, err := ln.Accept()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			var temporary interface{ Temporary() bool }
			if errors.As(err, &temporary) && temporary.Temporary() {
				p.log.Warn("accept failed, waiting", "err", err)
				select {
				case <-ctx.Done():
				case <-time.After(100 * time.Millisecond):
				}
				continue
			}
			return err
		}
		slots <- struct{}{}
		wg.Go(func() { p.sort(ctx, conn, func() { <-slots }) })
	}
}

// sort finds out what a connection is. release gives its handshake slot back.
func (p *port) sort(ctx context.Context, conn net.Conn, release func()) {
	once := sync.OnceFunc(release)
	defer once()
	_ = conn.SetReadDeadline(time.Now().Add(firstByteWait))
	first := make([]byte, 1)
	if _, err := io.ReadFull(conn, first); err != nil {
		conn.Close()
		return
	}
	replayed := &peeked{Conn: conn, first: first}
	const tlsHandshake = 0x16 // RFC 8446 section 5.1
	if first[0] != tlsHandshake {
		if !p.plain {
			conn.Close()
			return
		}
		_ = conn.SetReadDeadline(time.Time{})
		p.web.put(replayed)
		return
	}
	tc := tls.Server(replayed, p.tls)
	_ = conn.SetDeadline(time.Now().Add(firstByteWait))
	if err := tc.HandshakeContext(ctx); err != nil {
		p.log.Debug("TLS handshake failed", "peer", conn.RemoteAddr(), "err", err)
		conn.Close()
		return
	}
	_ = conn.SetDeadline(time.Time{})
	once()
	if tc.ConnectionState().NegotiatedProtocol == link.ALPN {
		p.link(ctx, tc)
		return
	}
	p.web.put(tc)
}

// peeked gives the first byte back.
type peeked struct {
	net.Conn
	first []byte
}

func (c *peeked) Read(b []byte) (int, error) {
	if len(c.first) > 0 && len(b) > 0 {
		n := copy(b, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}

// CloseWrite lets TLS and HTTP half-close through us.
func (c *peeked) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Conn.Close()
}

// handoff is the net.Listener from which the web server takes its connections.
type handoff struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
	addr   net.Addr
}

func (h *handoff) put(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.closed:
		c.Close()
	}
}

func (h *handoff) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h *handoff) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

func (h *handoff) Addr() net.Addr { return h.addr }
