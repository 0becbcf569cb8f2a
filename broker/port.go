package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/lobby"
)

// port is the broker's one public port. Agents and browsers share it: a TLS hello
// that offers ALPN sallyport/1 is the link, everything else is the web - over TLS
// when there is a certificate, in plain HTTP on loopback otherwise.
type port struct {
	link func(context.Context, *tls.Conn)
	tls  *tls.Config                // answers link and web by ALPN
	cert atomic.Pointer[tls.Config] // the web's, replaced as a whole
	web  *handoff
	// strangers are the connections without an agent's certificate and without a call of
	// somebody who has signed in.
	strangers *lobby.Lobby
	// plain is whether HTTP without TLS is answered (loopback demonstrations).
	plain bool
	spare uint64 // descriptors from this number on are for networks that are known; 0: unknown
	log   *slog.Logger
}

func newPort(linkTLS, webTLS *tls.Config, serve func(context.Context, *tls.Conn), known *lobby.Pace, log *slog.Logger) *port {
	most := maxDescriptors()
	strangers := maxStrangers
	if most > 0 {
		strangers = int(min(maxStrangers, most/2))
	}
	p := &port{link: serve, spare: most - sparedOf(most), web: &handoff{conns: make(chan net.Conn), closed: make(chan struct{})},
		strangers: lobby.New(strangers, maxStrangersNetwork), plain: webTLS == nil, log: log}
	p.strangers.Slow(shakeEvery, shakeBurst, known)
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
		if n := number(conn); p.spare > 0 && n >= p.spare && !p.strangers.Knows(conn.RemoteAddr()) {
			p.log.Warn("connection turned away: file descriptors run low", "peer", conn.RemoteAddr(), "in use", n)
			_ = conn.Close()
			continue
		}
		place, ok := p.strangers.Enter(conn.RemoteAddr(), func() { _ = conn.Close() })
		if !ok {
			p.log.Debug("connection turned away: too many that have not proven anything", "peer", conn.RemoteAddr())
			_ = conn.Close()
			continue
		}
		wg.Go(func() { p.sort(ctx, &guest{Conn: conn, place: place}) })
	}
}

// sort finds out what a connection is.
func (p *port) sort(ctx context.Context, g *guest) {
	_ = g.SetReadDeadline(time.Now().Add(firstByteWait))
	g.first = make([]byte, 1)
	if _, err := io.ReadFull(g.Conn, g.first); err != nil {
		g.Close()
		return
	}
	const tlsHandshake = 0x16 // RFC 8446 section 5.1
	if g.first[0] != tlsHandshake {
		if !p.plain {
			g.Close()
			return
		}
		_ = g.SetReadDeadline(time.Time{})
		g.pace(true)
		p.web.put(g)
		return
	}
	if !g.place.Begins() {
		p.log.Debug("connection turned away: its network began too many handshakes", "peer", g.RemoteAddr())
		g.Close()
		return
	}
	tc := tls.Server(g, p.tls)
	_ = tc.SetDeadline(time.Now().Add(firstByteWait))
	if err := tc.HandshakeContext(ctx); err != nil {
		p.log.Debug("TLS handshake failed", "peer", g.RemoteAddr(), "err", err)
		g.Close()
		return
	}
	_ = tc.SetDeadline(time.Time{})
	if is := tc.ConnectionState(); is.NegotiatedProtocol == link.ALPN {
		if len(is.PeerCertificates) > 0 { // which the handshake has verified
			g.place.Proven()
		}
		p.link(ctx, tc)
		return
	}
	g.pace(true)
	p.web.put(tc)
}

// follow has an HTTP server tell what its connections do, so that those that do nothing
// are shed first and those that somebody signed in uses, never.
func (p *port) follow(web *http.Server) {
	web.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if g := guestOf(c); g != nil {
			return lobby.With(ctx, g.place)
		}
		return ctx
	}
	web.ConnState = func(c net.Conn, is http.ConnState) {
		g := guestOf(c)
		switch {
		case g == nil:
		case is == http.StateActive:
			g.place.Busy()
		case is == http.StateIdle:
			g.place.Idle()
		case is == http.StateHijacked:
			g.pace(false) // whoever took it over knows how long it may stand still
		}
	}
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
