package broker

import (
	"crypto/tls"
	"net"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session/lobby"
)

// guest is a connection of the port: it gives the byte back that was read of it, and while
// it is paced, whoever stops taking what we write is cut off. That is renewed with every
// piece that is taken: a download may last as long as it makes progress.
type guest struct {
	net.Conn
	place *lobby.Place
	first []byte

	mu    sync.Mutex
	paced bool
	limit time.Time // of writes, as set by whoever serves the connection; zero is none
}

// guestOf finds the guest under what the web server serves.
func guestOf(c net.Conn) *guest {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	g, _ := c.(*guest)
	return g
}

func (g *guest) Read(b []byte) (int, error) {
	if len(g.first) > 0 && len(b) > 0 {
		n := copy(b, g.first)
		g.first = g.first[n:]
		return n, nil
	}
	return g.Conn.Read(b)
}

func (g *guest) Write(b []byte) (written int, err error) {
	for {
		piece := b[written:]
		if paced, err := g.renew(); err != nil {
			return written, err
		} else if paced {
			piece = piece[:min(writePiece, len(piece))]
		}
		n, err := g.Conn.Write(piece)
		written += n
		if err != nil || written == len(b) {
			return written, err
		}
	}
}

// renew gives the next piece its time, or what is left of the limit that was set.
func (g *guest) renew() (paced bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.paced {
		return false, nil
	}
	next := time.Now().Add(writeWait)
	if !g.limit.IsZero() && g.limit.Before(next) {
		next = g.limit
	}
	return true, g.Conn.SetWriteDeadline(next)
}

// pace begins or ends the watch over writes.
func (g *guest) pace(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.paced = on
	_ = g.Conn.SetWriteDeadline(g.limit)
}

func (g *guest) SetWriteDeadline(t time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limit = t
	return g.Conn.SetWriteDeadline(t)
}

func (g *guest) SetDeadline(t time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limit = t
	return g.Conn.SetDeadline(t)
}

// Close gives the place back.
func (g *guest) Close() error {
	g.place.Leave()
	return g.Conn.Close()
}

// NetConn is the connection itself, for whoever sets what TCP does.
func (g *guest) NetConn() net.Conn { return g.Conn }

// CloseWrite lets TLS and HTTP half-close through us.
func (g *guest) CloseWrite() error {
	if half, ok := g.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return g.Close()
}
