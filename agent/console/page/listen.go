package page

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/lobby"
)

// Try reports why a page could not open by other settings than those that it is open by.
func Try(ctx context.Context, next, now Settings, kept string, at time.Time) error {
	if next.Listen == "" {
		return nil
	}
	if _, err := next.certificate(kept, at, false); err != nil && next.TLS.Certificate != "" {
		return err
	}
	if err := next.Ready(); err != nil {
		return &session.Error{Kind: session.Invalid, Message: "The PIN of the agent's page cannot be used", Next: "Make its file with: sallyport-agent pin.", Err: err}
	}
	if next.Listen == now.Listen {
		return nil
	}
	l, err := next.listen(ctx)
	if err != nil {
		return err
	}
	return l.Close()
}

func (s Settings) listen(ctx context.Context) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.Listen)
	if err != nil {
		return nil, &session.Error{Kind: session.Invalid, Message: "The agent's page cannot listen at " + s.Listen, Next: "See console.listen in the configuration.", Err: err}
	}
	return l, nil
}

// inside lets in who comes from the page's networks. Whoever holds many connections makes
// room with those that say nothing, and then with the longest: a press of STOP finds one.
type inside struct {
	net.Listener
	networks []netip.Prefix
	places   *lobby.Lobby
}

func (l inside) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if v := l.admit(c); v != nil {
			return v, nil
		}
		_ = c.Close()
	}
}

func (l inside) admit(c net.Conn) *visit {
	addr, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil || !slices.ContainsFunc(l.networks, func(n netip.Prefix) bool { return n.Contains(addr.Addr().Unmap()) }) {
		return nil
	}
	place, ok := l.places.EnterAs(addr.Addr().Unmap().String(), func() { _ = c.Close() })
	if !ok {
		return nil
	}
	return &visit{Conn: c, place: place}
}

// visit is a connection with its place.
type visit struct {
	net.Conn
	place *lobby.Place
	once  sync.Once
}

func (v *visit) Close() error {
	v.once.Do(v.place.Leave)
	return v.Conn.Close()
}

// moved says whether a connection is at work.
func moved(c net.Conn, s http.ConnState) {
	t, ok := c.(*tls.Conn)
	if !ok {
		return
	}
	v, ok := t.NetConn().(*visit)
	switch {
	case !ok:
	case s == http.StateActive:
		v.place.Busy()
	case s == http.StateIdle:
		v.place.Idle()
	}
}
