package rdp

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"image"
	"net"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/rdp/bitmap"
	"github.com/sallyport/sallyport/session/screen"
)

// Config is how a console is used.
type Config struct {
	Login Login
	TLS   TLS
	// Size is the desktop that is asked for; the console decides. None is 1280 x 800.
	Size image.Point
	// Keyboard is the layout of Windows at the console (0x407 is German); 0 is 0x409.
	Keyboard uint32
	// Name is what the console calls this client.
	Name string
	// Copied is called with what was copied at the console; nil where that is not wanted.
	Copied func(text string)
	// Pastes: texts may be pasted. Without it and Copied there is no clipboard at all.
	Pastes bool
	// Again dials the console once more when the connection broke, so that Run goes on in the
	// same session of Windows. It may refuse; nil where the client is to end instead.
	Again func(ctx context.Context) (net.Conn, error)

	depth int // of pictures; 0 is 32
}

// Login is how the agent signs in. It is sent by CredSSP where the console can, and else
// inside TLS.
type Login struct{ User, Domain, Password string }

// TLS is how the console proves who it is.
type TLS struct {
	// Pin is the SHA-256 of its certificate.
	Pin *[sha256.Size]byte
	// First is asked where there is no Pin, with that of the certificate that the console
	// shows, before anything is sent to it: it keeps the pin, or refuses it.
	First func(pin [sha256.Size]byte) error
	// Legacy lets TLS 1.0, RSA key exchange and SHA-1 be enough.
	Legacy bool
}

// Client is a connection to a console, logged in. Press, Point and Paste may be called from
// anywhere; Run is of one goroutine.
type Client struct {
	cfg    Config
	screen *screen.Screen
	via    via
	in     *bufio.Reader
	joined joined
	drawn  drawing
	clip   clipboard
	old    string // of its TLS

	// of Connect and Run alone
	buf    []byte
	starts int     // how often the console began
	fault  uint32  // why the console says that it ends
	cookie *cookie // by which its session is taken up again

	mu    sync.Mutex // guards what follows, and the order of what is written
	hands hands
}

// drawing is what pictures are made of.
type drawing struct {
	decoder bitmap.Decoder
	broken  int
	work    int // pixels of one message
	shapes  [maxShapes]*screen.Cursor
	part    []byte // of an update that comes in pieces
	code    int    // which
	open    bool
}

// Connect logs in, and gives the screen the console's size.
func Connect(ctx context.Context, conn net.Conn, s *screen.Screen, cfg Config) (*Client, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, screen: s, via: via{quit: make(chan struct{})}}
	if err := c.enter(ctx, conn); err != nil {
		return nil, err
	}
	return c, nil
}

// enter is everything from the first byte until the console takes input. It owns conn only
// where it succeeds.
func (c *Client) enter(ctx context.Context, conn net.Conn) error {
	c.use(conn)
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(loginTime)); err != nil {
		return err
	}
	selected, err := c.login(ctx)
	if err != nil {
		return fmt.Errorf("log in to the console: %w", err)
	}
	if err := c.begin(selected); err != nil {
		return fmt.Errorf("begin with the console: %w", c.ended(err))
	}
	if !stop() {
		return context.Cause(ctx)
	}
	return conn.SetDeadline(time.Time{})
}

// begin is everything from the first message inside TLS until the console takes input.
func (c *Client) begin(selected uint32) error {
	if err := c.join(selected); err != nil {
		return err
	}
	if err := c.send(c.request(c.joined.main, c.info(selected))); err != nil {
		return err
	}
	for range maxRounds {
		if c.ready() {
			return nil
		}
		if err := c.message(); err != nil {
			return err
		}
	}
	return ErrWire
}

// Run draws what the console sends, until it is gone: until it says so, or until a broken
// connection cannot be taken up again.
func (c *Client) Run() error {
	for {
		err := c.draw()
		if !errors.Is(err, errBroken) || c.fault != 0 || c.cfg.Again == nil {
			return err
		}
		if err := c.takeUp(); err != nil {
			return err
		}
	}
}

// draw is Run on one connection. What comes at once is shown at once.
func (c *Client) draw() error {
	for {
		for range maxBatch {
			if err := c.message(); err != nil {
				if unkept := c.screen.Show(); unkept != nil {
					return unkept
				}
				return c.parted(err)
			}
			if !c.waiting() {
				break
			}
		}
		if err := c.screen.Show(); err != nil {
			return err
		}
	}
}

// message reads a message and does what it says.
func (c *Client) message() error {
	c.drawn.work = 0
	b, fast, err := c.packet()
	switch {
	case err != nil:
		return err
	case fast:
		return c.fast(b)
	}
	channel, b, err := indication(b)
	switch {
	case err != nil:
		return err
	case channel == c.joined.main:
		return c.shared(b)
	case channel == c.joined.clip && channel != 0:
		return c.clipChunk(b)
	}
	return ErrWire
}

// ended says why the console ended, where it said it.
func (c *Client) ended(err error) error {
	if why := faultOf(c.fault); why != nil && !errors.Is(err, ErrWire) && session.KindOf(err) == session.Internal {
		return why
	}
	return err
}

// Close ends the connection. It waits for nothing.
func (c *Client) Close() error { return c.via.close() }

func (c *Client) send(b []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.write(b)
}

// write is send for who holds mu.
func (c *Client) write(b []byte) error {
	conn := c.via.now()
	err := conn.SetWriteDeadline(time.Now().Add(writeTime))
	if err == nil {
		_, err = conn.Write(b)
	}
	if err != nil && c.cfg.Again != nil { // Run hears of it, and goes on or ends
		c.hands.ready = false
		conn.Close()
		return nil
	}
	return err
}

// request is a message on a channel (T.125 SendDataRequest).
func (c *Client) request(channel int, b []byte) []byte {
	out := be16([]byte{0x64}, c.joined.user, channel)
	out = be16(append(out, 0x70), len(b)|0x8000)
	return data(append(out, b...))
}
