package engine

import (
	"context"
	"net"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/lobby"
	"github.com/sallyport/sallyport/session/wording"
)

// Line is how one protocol is spoken between engineers and devices; there is a room
// for each below this one, and Config.Lines is the list of them.
type Line interface {
	Protocol() session.Protocol
	// Picture draws what a recording of a ticket's session and this protocol shows; nil:
	// nothing that can be drawn.
	Picture(of *Ticket) recordings.Picture
	// Serve serves an engineer's own client until it is gone. Who it is shows there.
	Serve(ctx context.Context, e *Engine, v Visit, nc net.Conn)
	// Attach serves the browser of an engineer, or of somebody who watches, which proved
	// its key, until it is gone. An error says why it was not let in.
	Attach(ctx context.Context, e *Engine, v Visit, b Browser) error
}

// Visit is a stream that the broker handed over. Its word for who comes counts for
// nothing; the peer is for the record only.
type Visit struct {
	Door           link.Door
	Asset, Service string
	Peer           string           // the engineer's network address, as the broker says
	By             session.Identity // and who that is

	place *lobby.Place // among the strangers
}

// Browser is one whose key opens something, by a ticket, or lets see it, by a watch: there
// is one of the two.
type Browser struct {
	Proof  attach.Proof
	Ticket *Ticket
	Watch  *Watch
	Conn   net.Conn
	In     *attach.Reader // of Conn
}

// Side is an engineer's side of a connection.
type Side interface {
	// Tell says what changed while the connection goes on. It waits for nothing.
	Tell(n attach.Notice)
	// Farewell says the last words, waits a moment for them to be taken, and closes.
	Farewell(reason session.EndReason, words string)
	// Close cuts the engineer off.
	Close() error
}

// Device is a device's side of a connection: logged in, and nobody else's.
type Device interface {
	// Gone is closed when the device has hung up and all that it said is passed on.
	Gone() <-chan struct{}
	// Release lets go of what the engineer holds down there (keys, buttons), on record
	// first. It is called when a freeze has shut the gate, under a pass of its own.
	Release() error
	// Close cuts the device off. It waits for nothing.
	Close() error
}

// Serve serves a stream until it ends, and closes nc. When ctx is cancelled its
// connection ends as with Close.
func (e *Engine) Serve(ctx context.Context, v Visit, nc net.Conn) {
	defer nc.Close()
	v, ok := e.stranger(v, nc)
	if !ok {
		e.cfg.Log.Warn("stream turned away: too many that have not proven a key", "target", v.target())
		return
	}
	defer v.place.Leave()
	v.Peer = wording.Line(v.Peer, 100)
	line := e.line(v)
	switch v.Door {
	case link.DoorAttach:
		e.attach(ctx, line, v, nc)
	case link.DoorTLS:
		e.attachInside(ctx, line, v, nc)
	default:
		line.Serve(ctx, e, v, nc)
	}
}

// line is the service's. A service that is not known here is refused, in words, by
// the first.
func (e *Engine) line(v Visit) Line {
	p := e.cfg.Protocol(v.Asset, v.Service)
	for _, l := range e.cfg.Lines {
		if l.Protocol() == p {
			return l
		}
	}
	return e.cfg.Lines[0]
}

// picture draws what recordings of a protocol show.
func (e *Engine) picture(p session.Protocol, of *Ticket) recordings.Picture {
	for _, l := range e.cfg.Lines {
		if l.Protocol() == p {
			return l.Picture(of)
		}
	}
	return nil
}

// Find returns the ticket of a key that was proven, for what a visit is to.
func (e *Engine) Find(key string, v Visit) (*Ticket, error) {
	return e.cfg.Tickets.Find(key, v.Asset, v.Service, e.cfg.Now())
}
