package simulator

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session/screen"
	"github.com/sallyport/sallyport/session/screen/rfb"
)

// ConsoleConfig of the scanner's console.
type ConsoleConfig struct {
	Password string // that viewers log in with; empty: none
	Mode     ConsoleMode
	Size     image.Point // in the modes that draw no console; default as the honest one
}

// Console is the scanner's service console, and an RFB server for any number of viewers, who
// share it. It shows the values and events that the shell tells.
type Console struct {
	s      *Scanner
	cfg    ConsoleConfig
	board  *board
	screen *screen.Screen
	did    chan func(*board) // what viewers do
	over   chan struct{}     // closed when nobody heeds them any more

	mu      sync.Mutex // guards what follows
	texts   map[chan string]struct{}
	written chan struct{} // closed when some viewer was sent something
	visits  int
}

// unrecorded is the keeper of a screen that nobody records: the agent does.
type unrecorded struct{}

func (unrecorded) Keep(screen.Change) error { return nil }

// Console makes the scanner's console.
func (s *Scanner) Console(cfg ConsoleConfig) (*Console, error) {
	b, err := s.newBoard()
	if err != nil {
		return nil, err
	}
	if cfg.Size == (image.Point{}) {
		cfg.Size = ConsoleSize()
	}
	c := &Console{
		s: s, cfg: cfg, board: b, screen: screen.New(screen.Masks{}, unrecorded{}),
		did: make(chan func(*board)), over: make(chan struct{}),
		texts: map[chan string]struct{}{}, written: make(chan struct{}),
	}
	size := cfg.Size
	if cfg.Mode == ConsoleHonest {
		size = ConsoleSize()
	}
	if err := c.screen.Resize(size.X, size.Y); err != nil {
		return nil, err
	}
	c.screen.Draw(b.c.Bounds(), b.c.Pix, b.c.Size.X) // what lies between the parts
	return c, c.show()
}

// show shows what the board painted.
func (c *Console) show() error {
	for _, part := range c.board.paint() {
		c.screen.Draw(part, c.board.c.Part(part), c.board.c.Size.X)
	}
	return c.screen.Show()
}

// Serve answers on l until ctx is done, closes l and every connection, waits for all of them
// and returns nil; or the error that ended it. It serves once.
func (c *Console) Serve(ctx context.Context, l net.Listener) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer l.Close()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	wg.Go(func() {
		defer close(c.over)
		c.live(ctx, &wg)
	})
	slots := make(chan struct{}, maxViewers)
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept at the console: %w", err)
		}
		select {
		case slots <- struct{}{}:
			wg.Go(func() {
				defer func() { <-slots }()
				c.serve(ctx, conn)
			})
		default:
			conn.Close()
		}
	}
}

// serve serves one viewer.
func (c *Console) serve(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	c.s.note(&c.s.seen, "console open")
	defer c.s.note(&c.s.seen, "console closed")
	if c.cfg.Mode.byHand() {
		c.misbehave(ctx, conn)
		return
	}
	texts := make(chan string, 4)
	c.mu.Lock()
	c.texts[texts] = struct{}{}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.texts, texts)
	}()
	err := rfb.Serve(ctx, sending{conn, c}, c.screen, &operator{c}, rfb.Config{Name: c.s.cfg.Asset.Name + " service console", Password: c.cfg.Password, Texts: texts})
	c.s.cfg.Log.Info("a viewer left the console", "target", c.s.cfg.Asset.Name, "err", err)
}

// live is the console's own life: time passes, people do things, and it is painted.
func (c *Console) live(ctx context.Context, wg *sync.WaitGroup) {
	switch c.cfg.Mode {
	case ConsoleFlood:
		c.flood(ctx)
		return
	case ConsoleResizing:
		c.storm(ctx)
		return
	}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	shape := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.board.tick()
		case do := <-c.did:
			do(c.board)
		}
		c.carryOut(ctx, wg)
		if is := c.board.shape(); is != shape {
			shape = is
			c.screen.SetCursor(cursorOf(is))
		}
		if c.show() != nil {
			return
		}
	}
}

// carryOut does what the board asked for.
func (c *Console) carryOut(ctx context.Context, wg *sync.WaitGroup) {
	for _, text := range c.board.copied {
		c.mu.Lock()
		for to := range c.texts {
			select {
			case to <- text:
			default: // a viewer that takes none misses some
			}
		}
		c.mu.Unlock()
	}
	for _, line := range c.board.runs {
		wg.Go(func() {
			said := c.s.say(ctx, line)
			c.do(func(b *board) { b.show(line, said) })
		})
	}
	c.board.copied, c.board.runs = nil, nil
}

// do hands something to the goroutine that has the board; it is lost once that has ended.
func (c *Console) do(f func(*board)) {
	select {
	case c.did <- f:
	case <-c.over:
	}
}

// say runs a line as the shell would, and returns what it says.
func (s *Scanner) say(ctx context.Context, line string) []string {
	ctx, cancel := context.WithTimeout(ctx, runTime)
	defer cancel()
	var said bytes.Buffer
	out := writerFunc(func(p []byte) (int, error) {
		said.Write(p[:min(len(p), maxSaid-said.Len())])
		if said.Len() == maxSaid {
			cancel()
			return 0, io.ErrShortWrite
		}
		return len(p), ctx.Err()
	})
	s.run(ctx, call{
		in: strings.NewReader(""), out: out, err: out,
		ask: func(string) (string, error) { return "", io.EOF },
		sh:  &shellState{cwd: s.home.base},
	}, line)
	lines := strings.Split(strings.TrimRight(said.String(), "\n"), "\n")
	return lines[max(0, len(lines)-maxLines):]
}

// Picture is what the console shows, pixel by pixel.
func (c *Console) Picture() (image.Point, []uint32, error) {
	v, err := c.screen.Join()
	if err != nil {
		return image.Point{}, nil, err
	}
	defer v.Leave()
	u, err := v.Take(image.Rectangle{Max: v.Size()})
	if err != nil {
		return image.Point{}, nil, err
	}
	return u.Size, u.Shown.Pixels(nil, image.Rectangle{Max: u.Size}), nil
}

// Typed is the command line, as it stands there.
func (c *Console) Typed() (line string) {
	done := make(chan struct{})
	c.do(func(b *board) { line = string(b.typing.text); close(done) })
	select {
	case <-done:
	case <-c.over:
	}
	return line
}

// operator is a viewer's hands at the board.
type operator struct{ c *Console }

func (o *operator) Press(k screen.Key) error {
	o.c.s.note(&o.c.s.seen, "console key %#x %#x %t", k.Sym, k.Code, k.Down)
	o.c.do(func(b *board) { b.key(k.Sym, k.Down) })
	return nil
}

func (o *operator) Point(p screen.Pointer) error {
	o.c.s.note(&o.c.s.seen, "console pointer %d %d %#x", p.At.X, p.At.Y, p.Buttons)
	wheel := int(p.Buttons>>4&1) - int(p.Buttons>>3&1)
	o.c.do(func(b *board) { b.point(p.At, p.Buttons&1 != 0, wheel) })
	return nil
}

func (o *operator) Paste(text string) error {
	o.c.s.note(&o.c.s.seen, "console text %.100q", text)
	o.c.do(func(b *board) { b.paste(text) })
	return nil
}

// sending is a viewer's connection; the console knows when something was sent on it.
type sending struct {
	net.Conn
	c *Console
}

func (s sending) Write(p []byte) (int, error) {
	n, err := s.Conn.Write(p)
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	close(s.c.written)
	s.c.written = make(chan struct{})
	return n, err
}

// cursorOf draws a pointer.
func cursorOf(shape string) screen.Cursor {
	hot, rows := shapeOf(shape)
	wide := len(slices.MaxFunc(rows, func(a, b string) int { return len(a) - len(b) }))
	cur := screen.Cursor{Size: image.Pt(wide, len(rows)), Hot: hot, Pix: make([]uint32, wide*len(rows))}
	for y, row := range rows {
		for x, ink := range row {
			switch ink {
			case '#':
				cur.Pix[y*wide+x] = 0xff000000
			case 'o':
				cur.Pix[y*wide+x] = 0xffffffff
			}
		}
	}
	return cur
}
