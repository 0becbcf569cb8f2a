package simulator

import (
	"context"
	"errors"
	"image"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session/screen"
	"github.com/sallyport/sallyport/session/vnc"
)

// consoleRig is a console that answers on a loopback port.
type consoleRig struct {
	*testing.T
	*Console
	addr string
}

const consolePassword = "c0nsole!"

func newConsole(t *testing.T, cfg ConsoleConfig) *consoleRig {
	t.Helper()
	s, err := New(Config{Asset: petct(), Dir: t.TempDir(), Now: noon, Pace: -1, Seed: 7, Password: testPassword})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Password = consolePassword
	c, err := s.Console(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return &consoleRig{t, c, l.Addr().String()}
}

// shown is what a viewer of ours sees.
type shown struct {
	mu     sync.Mutex
	size   image.Point
	pix    []uint32
	cursor screen.Cursor
	sizes  int
	news   chan struct{}
	copied chan string
	ended  chan error
	client *vnc.Client
}

func (s *shown) Keep(c screen.Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size, s.pix = c.Size, slices.Clone(c.Pix)
	if c.Resized {
		s.sizes++
	}
	if c.Cursor != nil {
		s.cursor = *c.Cursor
	}
	select {
	case s.news <- struct{}{}:
	default:
	}
	return nil
}

func (r *consoleRig) look() (*shown, error) {
	r.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.Fatal(err)
	}
	s := &shown{news: make(chan struct{}, 1), copied: make(chan string, 10), ended: make(chan error, 1)}
	c, err := vnc.Connect(r.Context(), conn, screen.New(screen.Masks{}, s), vnc.Config{
		Login: vnc.Login{Password: consolePassword}, Copied: func(text string) { s.copied <- text },
	})
	if err != nil {
		conn.Close()
		return nil, err
	}
	s.client = c
	done := make(chan struct{})
	go func() { defer close(done); s.ended <- c.Run() }()
	r.Cleanup(func() { c.Close(); <-done })
	return s, nil
}

func (r *consoleRig) mustLook() *shown {
	r.Helper()
	s, err := r.look()
	if err != nil {
		r.Fatal(err)
	}
	return s
}

// until waits for something to be true of what the viewer sees.
func (s *shown) until(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	for {
		s.mu.Lock()
		yes := is()
		s.mu.Unlock()
		if yes {
			return
		}
		select {
		case <-s.news:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

// same waits until the viewer sees exactly what the console shows.
func (r *consoleRig) same(s *shown) {
	r.Helper()
	s.until(r.T, "the viewer sees what the console shows", func() bool {
		size, pix, err := r.Picture()
		return err == nil && size == s.size && slices.Equal(pix, s.pix)
	})
}

func (s *shown) type_(t *testing.T, syms ...uint32) {
	t.Helper()
	for _, k := range syms {
		if err := errors.Join(s.client.Press(screen.Key{Sym: k, Down: true}), s.client.Press(screen.Key{Sym: k})); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *shown) click(t *testing.T, at image.Point) {
	t.Helper()
	for _, buttons := range []uint16{0, 1, 0} {
		if err := s.client.Point(screen.Pointer{At: at, Buttons: buttons}); err != nil {
			t.Fatal(err)
		}
	}
}

// until waits for something to be true of the board.
func (r *consoleRig) until(what string, is func(*board) bool) {
	r.Helper()
	yes := make(chan bool, 1)
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		r.do(func(b *board) { yes <- is(b) })
		if <-yes {
			return
		}
		if time.Now().After(deadline) {
			r.Fatalf("never: %s", what)
		}
	}
}

// typed waits until the command line says so.
func (r *consoleRig) typed(want string) {
	r.Helper()
	r.until("the line says "+want, func(b *board) bool { return string(b.typing.text) == want })
}

func middle(r image.Rectangle) image.Point { return r.Min.Add(r.Max).Div(2) }

func (r *consoleRig) button(text string) image.Point {
	i := slices.IndexFunc(r.board.buttons, func(b button) bool { return b.text == text })
	if i < 0 {
		r.Fatalf("no button says %q", text)
	}
	return middle(r.board.buttons[i].at)
}

// Two viewers share one console: what one does, both see, pixel by pixel.
func TestViewersShareTheConsole(t *testing.T) {
	r := newConsole(t, ConsoleConfig{})
	a, b := r.mustLook(), r.mustLook()
	r.same(a)
	r.same(b)
	a.type_(t, 'f', 'w', ' ')
	r.typed("fw ")
	b.type_(t, 'x', keyBackSpace, 'v')
	r.typed("fw v")
	r.same(a)
	r.same(b)
	a.client.Close()
	b.type_(t, 'y')
	r.typed("fw vy")
	r.same(b)
}

// The letters of German and French keyboards, dead keys, and chords that type nothing.
func TestLettersOfEveryKeyboardAreShown(t *testing.T) {
	r := newConsole(t, ConsoleConfig{})
	v := r.mustLook()
	v.type_(t, 'G', 'r', 0xfc, 0xdf, 'e', ' ', 0xe9, 0xe8, 0xe7, 0x13bd, 0x20ac, 0x100201c)
	v.type_(t, keyDead+2, 'e', keyDead+7, 'i', keyDead+1, 'x')
	v.type_(t, keyLeft, keyHome, keyEnd, 0xffb7)
	r.typed("Grüße éèçœ€“êïx7")
	if err := errors.Join(v.client.Press(screen.Key{Sym: 0xffe3, Down: true}), v.client.Press(screen.Key{Sym: 0xffe9, Down: true})); err != nil {
		t.Fatal(err)
	}
	v.type_(t, keyDelete)
	r.until("the chord is shown", func(b *board) bool { return b.typing.chord == "Ctrl+Alt+Delete" && b.typing.heldNames() == "Ctrl Alt" })
	r.typed("Grüße éèçœ€“êïx7")
	r.same(v)
	if seen := strings.Join(r.s.Seen(), "\n"); !strings.Contains(seen, "console key 0xfc 0x0 true") {
		t.Error(seen)
	}
}

// Commands say what the shell says, and the buttons run them.
func TestTheConsoleSaysWhatTheShellSays(t *testing.T) {
	r := newConsole(t, ConsoleConfig{})
	v := r.mustLook()
	says := func(page, line string) {
		t.Helper()
		want := r.s.say(t.Context(), line)
		if len(want) < 4 {
			t.Fatalf("%s says %q", line, want)
		}
		r.until(line+" is shown", func(b *board) bool { return b.page == page && slices.Equal(b.lines, want) })
	}
	for _, k := range "coolstat" {
		v.type_(t, uint32(k))
	}
	v.type_(t, keyReturn)
	says("coolstat", "coolstat")
	v.click(t, r.button("Detectors"))
	says("dettemp", "dettemp")
	r.same(v)
	text := r.board.valuesText()
	for _, row := range r.s.rows("cooling", noon().Truncate(10*time.Second)) {
		if !strings.Contains(text, row.name+"\t"+row.value) {
			t.Errorf("%s %s is not among\n%s", row.name, row.value, text)
		}
	}
}

// A command that never ends, or says too much, does not hold up the console.
func TestACommandIsBounded(t *testing.T) {
	r := newConsole(t, ConsoleConfig{})
	said := r.s.say(t.Context(), "flood 100m")
	if n := len(strings.Join(said, "\n")); len(said) > maxLines || n > maxSaid {
		t.Errorf("%d lines, %d bytes", len(said), n)
	}
}

func TestTheClipboardPassesBothWays(t *testing.T) {
	r := newConsole(t, ConsoleConfig{})
	v := r.mustLook()
	r.same(v)
	v.click(t, r.button("Copy values"))
	select {
	case got := <-v.copied:
		if !strings.Contains(got, "Detector water flow\t") {
			t.Errorf("%q", got)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("nothing was copied")
	}
	if err := v.client.Paste("svc list # für später"); err != nil {
		t.Fatal(err)
	}
	r.until("what was pasted is shown", func(b *board) bool { return b.clip == "svc list # für später" })
	if err := v.client.Press(screen.Key{Sym: 0xffe3, Down: true}); err != nil {
		t.Fatal(err)
	}
	v.type_(t, 'v')
	r.typed("svc list # für später")
	r.same(v)
}

// The pointer is another one over what can be pressed, a press is seen, and names stand in
// their boxes alone.
func TestThePointerAndTheNames(t *testing.T) {
	r := newConsole(t, ConsoleConfig{})
	v := r.mustLook()
	r.same(v)
	cursor := func(shape string) {
		t.Helper()
		want := cursorOf(shape)
		v.until(t, "the pointer is the "+shape, func() bool { return slices.Equal(v.cursor.Pix, want.Pix) && v.cursor.Hot == want.Hot })
	}
	_, before, _ := r.Picture()
	at := r.button("Copy list")
	if err := v.client.Point(screen.Pointer{At: at}); err != nil {
		t.Fatal(err)
	}
	cursor(shapeHand)
	if err := v.client.Point(screen.Pointer{At: at, Buttons: 1}); err != nil {
		t.Fatal(err)
	}
	v.until(t, "the button is seen pressed", func() bool { return v.pix[(at.Y-14)*1280+at.X-70] != before[(at.Y-14)*1280+at.X-70] })
	if err := v.client.Point(screen.Pointer{At: middle(partLine.box())}); err != nil {
		t.Fatal(err)
	}
	cursor(shapeBeam)
	if err := v.client.Point(screen.Pointer{At: image.Pt(5, 700)}); err != nil {
		t.Fatal(err)
	}
	cursor(shapeArrow)
	r.same(v)

	_, before, _ = r.Picture()
	v.click(t, partPatients.box().Min.Add(image.Pt(50, 32+3*patientRow+5)))
	r.until("a patient is chosen", func(b *board) bool { return b.selected == 3 && !b.left })
	_, after, _ := r.Picture()
	allowed := append(NameBoxes(), partTasks.box(), partDesk.box(), partGantry.box()) // the last three show what was pressed, and turn
	for i := range after {
		p := image.Pt(i%1280, i/1280)
		if after[i] != before[i] && !slices.ContainsFunc(allowed, p.In) {
			t.Fatalf("choosing a patient changes %v", p)
		}
	}
	for _, line := range r.board.lines {
		for _, p := range r.s.book.patients {
			if strings.Contains(line, p.name) {
				t.Errorf("the log names a patient: %s", line)
			}
		}
	}
}

// A scanner at rest shows nothing new until the minute is over, and its gantry turns when it
// is told to.
func TestAConsoleAtRest(t *testing.T) {
	now := noon().Add(-7 * time.Hour)
	s, err := New(Config{Asset: petct(), Dir: t.TempDir(), Now: func() time.Time { return now }, Pace: -1, Seed: 7, Password: testPassword})
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.newBoard()
	if err != nil {
		t.Fatal(err)
	}
	b.paint()
	for now.Second() < 59 {
		now = now.Add(500 * time.Millisecond)
		if b.tick(); len(b.dirty) > 0 {
			t.Fatalf("at %v it paints %v", now, b.dirty)
		}
	}
	now = now.Add(2 * time.Second)
	if b.tick(); !slices.Contains(b.dirty, partTasks) || !slices.Contains(b.dirty, partTiles) {
		t.Errorf("a new minute paints %v", b.dirty)
	}
	b.paint()
	at := middle(b.buttons[slices.IndexFunc(b.buttons, func(x button) bool { return x.text == "Turn gantry" })].at)
	b.point(at, true, 0)
	b.point(at, false, 0)
	b.paint()
	now = now.Add(500 * time.Millisecond)
	if b.tick(); !slices.Contains(b.dirty, partGantry) {
		t.Errorf("a gantry that turns paints %v", b.dirty)
	}
}

func TestMisbehavingConsolesDoWhatTheirNamesSay(t *testing.T) {
	t.Run("flood", func(t *testing.T) {
		r := newConsole(t, ConsoleConfig{Mode: ConsoleFlood, Size: image.Pt(320, 200)})
		v := r.mustLook()
		var last uint32
		for range 20 {
			v.until(t, "another picture", func() bool { return v.pix != nil && v.pix[0] != last && v.pix[len(v.pix)-1] != last })
			v.mu.Lock()
			last = v.pix[0]
			v.mu.Unlock()
		}
	})
	t.Run("resizing", func(t *testing.T) {
		r := newConsole(t, ConsoleConfig{Mode: ConsoleResizing})
		v := r.mustLook()
		v.until(t, "ten sizes", func() bool { return v.sizes > 10 })
	})
	t.Run("silent", func(t *testing.T) {
		r := newConsole(t, ConsoleConfig{Mode: ConsoleSilent})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		conn, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := vnc.Connect(ctx, conn, screen.New(screen.Masks{}, &shown{}), vnc.Config{}); err == nil || ctx.Err() == nil {
			t.Errorf("%v", err)
		}
	})
	t.Run("stalled", func(t *testing.T) {
		r := newConsole(t, ConsoleConfig{Mode: ConsoleStalled})
		v := r.mustLook()
		v.client.Close()
		if err := <-v.ended; err == nil {
			t.Error("an update came")
		}
		v.ended <- nil
	})
	t.Run("hostile", func(t *testing.T) {
		r := newConsole(t, ConsoleConfig{Mode: ConsoleHostile})
		for _, x := range lies() {
			v, err := r.look()
			if err == nil {
				select {
				case err = <-v.ended:
				case <-time.After(2 * time.Minute):
					t.Fatalf("%s is believed", x.name)
				}
				v.ended <- nil
			}
			if err == nil {
				t.Errorf("%s is believed", x.name)
			}
		}
	})
}
