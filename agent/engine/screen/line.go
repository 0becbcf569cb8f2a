package screen

import (
	"context"
	"errors"
	"image"
	"io"
	"log/slog"
	"net"
	"sync"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/frames"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/held"
	"github.com/sallyport/sallyport/session/screen"
	"github.com/sallyport/sallyport/session/screen/rfb"
	"github.com/sallyport/sallyport/session/wording"
)

// Client is a connection to a device's console, logged in. What is done by hand may come
// from anywhere; Run is of one goroutine.
type Client interface {
	rfb.Hands
	io.Closer
	// Run draws what the console sends until it is gone.
	Run() error
}

// Config is everything that a Line needs.
type Config struct {
	Protocol session.Protocol
	// Dial connects to a console and logs in.
	Dial func(ctx context.Context, t ledger.Ticket, service string, use Use) (Client, error)
	// Masks are what is hidden of a service's console.
	Masks  func(asset, service string) screen.Masks
	Memory *held.Memory // of all sessions of the agent, whatever their protocol
	Log    *slog.Logger
}

// Use is what a console's client draws on, and which texts it carries.
type Use struct {
	Screen *screen.Screen
	Copied func(string) // is told what was copied at the console; nil where that is not wanted
	Pastes bool         // texts may be pasted there
	Said   func(string) // is told what people and the recording should know of the connection
	// Proved is told how the console proved who it is, or that it did not.
	Proved func(session.Certificate)
	// Again refuses that a broken connection is dialled once more, where nothing may pass.
	Again func() error
}

// Line serves the consoles of one protocol. Safe for concurrent use.
type Line struct {
	cfg  Config
	room *room

	mu       sync.Mutex // guards what follows; never held across I/O
	consoles map[place]*console
}

// place is what a console is for: there is one for a service of a session.
type place struct {
	session session.ID
	service string
}

var _ engine.Line = (*Line)(nil)

// New makes a line. It refuses an incomplete Config.
func New(cfg Config) (*Line, error) {
	if cfg.Protocol == "" || cfg.Dial == nil || cfg.Masks == nil || cfg.Memory == nil || cfg.Log == nil {
		return nil, errors.New("line needs a protocol, a way to its devices, masks, memory and a log")
	}
	return &Line{cfg: cfg, room: newRoom(cfg.Memory), consoles: map[place]*console{}}, nil
}

// Protocol is what this line speaks.
func (l *Line) Protocol() session.Protocol { return l.cfg.Protocol }

// Picture draws the console of a recording.
func (l *Line) Picture(*engine.Ticket) recordings.Picture { return frames.NewPicture() }

// Serve refuses what comes without the words of package attach: no console is reached so.
func (l *Line) Serve(_ context.Context, _ *engine.Engine, v engine.Visit, _ net.Conn) {
	l.cfg.Log.Warn("stream refused", "door", v.Door, "asset", v.Asset, "service", v.Service)
}

// Attach serves one viewer, of the engineer or of who watches, until it is gone.
func (l *Line) Attach(ctx context.Context, e *engine.Engine, v engine.Visit, b engine.Browser) error {
	if err := attach.ParseConsole(b.Proof.Opening); err != nil {
		return err
	}
	if b.Watch != nil {
		return l.watch(ctx, v, b)
	}
	c, w, err := l.join(ctx, e, v, b)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { c.c.Stop(session.AgentLost, wording.Farewell(session.AgentLost)) })()
	err = w.serve()
	c.leave(w)
	l.cfg.Log.Info("viewer left", "session", b.Ticket.ID.Session(), "err", err)
	return nil
}

// join lets a viewer in at the console of its session and service, which is opened where
// it is not.
func (l *Line) join(ctx context.Context, e *engine.Engine, v engine.Visit, b engine.Browser) (*console, *viewer, error) {
	for {
		at := place{b.Ticket.ID, v.Service}
		l.mu.Lock()
		c, there := l.consoles[at]
		if !there {
			c = newConsole(l, at, b.Ticket)
			l.consoles[at] = c
		}
		l.mu.Unlock()
		if !there {
			go c.open(context.WithoutCancel(ctx), e, v)
		}
		<-c.ready // the time of a dial at most
		if c.err != nil {
			return nil, nil, c.err
		}
		w, err := c.join(b, v.Peer)
		if !errors.Is(err, engine.ErrOver) {
			return c, w, err
		}
		l.vacate(c) // it is just ending
	}
}

// Look is what the console of a session shows, masks and all, at most so wide; nil where
// none is open. Of several it is the one whose service comes first.
func (l *Line) Look(id session.ID, widest int) image.Image {
	if c := l.open(id); c != nil {
		if p := c.screen.Picture(widest); p != nil {
			return p
		}
	}
	return nil
}

// Shows reports whether a console of a session is open.
func (l *Line) Shows(id session.ID) bool { return l.open(id) != nil }

func (l *Line) open(id session.ID) (found *console) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for at, c := range l.consoles {
		if at.session == id && c.isOpen() && (found == nil || at.service < found.at.service) {
			found = c
		}
	}
	return found
}

// vacate frees the place of a console.
func (l *Line) vacate(c *console) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.consoles[c.at] == c {
		delete(l.consoles, c.at)
	}
}
