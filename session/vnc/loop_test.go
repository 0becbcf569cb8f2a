package vnc

import (
	"context"
	"errors"
	"image"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session/screen"
	"github.com/sallyport/sallyport/session/screen/rfb"
)

type keeper func(screen.Change) error

func (k keeper) Keep(c screen.Change) error { return k(c) }

func forget(screen.Change) error { return nil }

type hands struct {
	mu      sync.Mutex
	keys    []screen.Key
	pointer []screen.Pointer
	texts   []string
	did     chan struct{}
}

func newHands() *hands { return &hands{did: make(chan struct{}, 1000)} }

func (h *hands) do(f func()) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	h.did <- struct{}{}
	return nil
}

func (h *hands) Press(k screen.Key) error { return h.do(func() { h.keys = append(h.keys, k) }) }
func (h *hands) Point(p screen.Pointer) error {
	return h.do(func() { h.pointer = append(h.pointer, p) })
}
func (h *hands) Paste(t string) error { return h.do(func() { h.texts = append(h.texts, t) }) }

// seen is what a client shows, and a way to wait for it.
type seen struct {
	mu   sync.Mutex
	size image.Point
	pix  []uint32
	news chan struct{}
}

func (s *seen) Keep(c screen.Change) error {
	s.mu.Lock()
	s.size, s.pix = c.Size, slices.Clone(c.Pix)
	s.mu.Unlock()
	select {
	case s.news <- struct{}{}:
	default:
	}
	return nil
}

// shows waits until the client shows these pixels.
func (s *seen) shows(t *testing.T, size image.Point, pix []uint32) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	for {
		s.mu.Lock()
		same := s.size == size && slices.Equal(s.pix, pix)
		s.mu.Unlock()
		if same {
			return
		}
		select {
		case <-s.news:
		case <-deadline:
			t.Fatalf("the client never shows it (%v for %v)", s.size, size)
		}
	}
}

func pair(t *testing.T) (net.Conn, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// serve shows a screen to a client of ours that knows only these encodings.
func serve(t *testing.T, cfg rfb.Config, login Login, masked bool, copied func(string)) (*screen.Screen, *Client, *seen, *hands) {
	t.Helper()
	s := screen.New(screen.Masks{}, keeper(forget))
	if err := errors.Join(s.Resize(300, 200), s.Show()); err != nil {
		t.Fatal(err)
	}
	near, far := pair(t)
	h := newHands()
	go func() { _ = rfb.Serve(t.Context(), far, s, h, cfg) }()
	shown := &seen{news: make(chan struct{}, 1)}
	c, err := Connect(t.Context(), near, screen.New(screen.Masks{}, shown), Config{Login: login, Masked: masked, Copied: copied})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = c.Run() }()
	return s, c, shown, h
}

// Whatever a console draws, a client of it shows, in every encoding and format.
func TestTheClientShowsWhatTheServerDrew(t *testing.T) {
	for _, masked := range []bool{false, true} {
		s, _, shown, _ := serve(t, rfb.Config{}, Login{}, masked, nil)
		r := rand.New(rand.NewPCG(1, 2))
		var model []uint32
		size := image.Pt(300, 200)
		model = make([]uint32, size.X*size.Y)
		for range 200 {
			for range 1 + r.IntN(3) {
				size, model = scribble(t, s, r, size, model)
			}
			if err := s.Show(); err != nil {
				t.Fatal(err)
			}
			shown.shows(t, size, model)
		}
	}
}

// scribble draws something on a screen and on its model.
func scribble(t *testing.T, s *screen.Screen, r *rand.Rand, size image.Point, model []uint32) (image.Point, []uint32) {
	x, y := r.IntN(size.X), r.IntN(size.Y)
	part := image.Rect(x, y, x+1+r.IntN(size.X-x), y+1+r.IntN(size.Y-y))
	put := func(colour func(i int) uint32) []uint32 {
		pix := make([]uint32, part.Dx()*part.Dy())
		for i := range pix {
			pix[i] = colour(i)
			model[(part.Min.Y+i/part.Dx())*size.X+part.Min.X+i%part.Dx()] = pix[i]
		}
		return pix
	}
	switch r.IntN(6) {
	case 0:
		colour := r.Uint32() & 0xffffff
		put(func(int) uint32 { return colour })
		s.Fill(part, colour)
	case 1: // a picture
		s.Draw(part, put(func(i int) uint32 { return r.Uint32() & 0xffffff }), part.Dx())
	case 2: // a drawing of few colours
		few := 2 + r.IntN(100)
		s.Draw(part, put(func(i int) uint32 { return uint32(i/7%few) * 0x10203 }), part.Dx())
	case 3, 4:
		from := image.Pt(r.IntN(size.X-part.Dx()+1), r.IntN(size.Y-part.Dy()+1))
		was := slices.Clone(model)
		put(func(i int) uint32 { return was[(from.Y+i/part.Dx())*size.X+from.X+i%part.Dx()] })
		s.Copy(part, from)
	case 5:
		if r.IntN(4) > 0 {
			break
		}
		size = image.Pt(1+r.IntN(400), 1+r.IntN(300))
		model = make([]uint32, size.X*size.Y)
		if err := s.Resize(size.X+1, size.Y); err != nil { // so that it is black, whatever it was
			t.Fatal(err)
		}
		if err := s.Resize(size.X, size.Y); err != nil {
			t.Fatal(err)
		}
	}
	return size, model
}

// between is a connection whose every write is followed by something else.
type between struct {
	net.Conn
	next func()
}

func (b between) Write(p []byte) (int, error) {
	n, err := b.Conn.Write(p)
	b.next()
	return n, err
}

// A large picture goes out in pieces, and between any two of them the console draws, moves a
// part or takes another size: whoever was slow sees what is there in the end.
func TestASlowViewerSeesWhatIsThere(t *testing.T) {
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 7))
		size := image.Pt(700, 450)
		model := make([]uint32, size.X*size.Y)
		s := screen.New(screen.Masks{}, keeper(forget))
		draw := func(part image.Rectangle) {
			pix := make([]uint32, part.Dx()*part.Dy())
			for i := range pix {
				pix[i] = r.Uint32() & 0xffffff
				model[(part.Min.Y+i/part.Dx())*size.X+part.Min.X+i%part.Dx()] = pix[i]
			}
			s.Draw(part, pix, part.Dx())
		}
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		must(s.Resize(size.X, size.Y))
		draw(s.Bounds())
		must(s.Show())
		pieces, drawn := make(chan struct{}), make(chan struct{})
		near, far := pair(t)
		slow := between{far, func() {
			select {
			case pieces <- struct{}{}:
				<-drawn
			case <-t.Context().Done():
			}
		}}
		go func() { _ = rfb.Serve(t.Context(), slow, s, nil, rfb.Config{}) }()
		shown := &seen{news: make(chan struct{}, 1)}
		connected := make(chan error, 1)
		go func() {
			c, err := Connect(t.Context(), near, screen.New(screen.Masks{}, shown), Config{})
			connected <- err
			if err == nil {
				_ = c.Run()
			}
		}()
		for range 120 { // each is news, so that another piece comes
			<-pieces
			switch x, y := r.IntN(size.X), r.IntN(size.Y); r.IntN(8) {
			default:
				draw(image.Rect(x, y, x+1+r.IntN(size.X-x), y+1+r.IntN(size.Y-y)))
			case 2, 3, 4, 5: // a move, as when a list is scrolled
				part, by := image.Rect(0, 40, size.X, size.Y-1-r.IntN(30)), 1+r.IntN(30)
				was := slices.Clone(model)
				for n := part.Min.Y; n < part.Max.Y; n++ {
					copy(model[n*size.X:(n+1)*size.X], was[(n-by)*size.X:])
				}
				s.Copy(part, part.Min.Sub(image.Pt(0, by)))
			case 7:
				if r.IntN(3) == 0 {
					size = image.Pt(500+r.IntN(200), 350+r.IntN(100))
					model = make([]uint32, size.X*size.Y)
					must(s.Resize(size.X, size.Y))
				}
				draw(s.Bounds())
			}
			must(s.Show())
			drawn <- struct{}{}
		}
		quiet := make(chan struct{})
		go func() { // nothing changes any more
			for {
				select {
				case <-pieces:
					drawn <- struct{}{}
				case <-quiet:
					return
				}
			}
		}()
		must(<-connected)
		shown.shows(t, size, model)
		close(quiet)
		near.Close()
	}
}

func TestKeysPointerAndTextsArrive(t *testing.T) {
	texts, copied := make(chan string), make(chan string, 1)
	s, c, shown, h := serve(t, rfb.Config{Texts: texts}, Login{}, false, func(text string) { copied <- text })
	s.Fill(s.Bounds(), 5)
	if err := s.Show(); err != nil {
		t.Fatal(err)
	}
	model := make([]uint32, 300*200)
	fill(model, 5)
	shown.shows(t, image.Pt(300, 200), model)
	key, pointer := screen.Key{Sym: 0x61, Code: 0x1e, Down: true}, screen.Pointer{At: image.Pt(7, 9), Buttons: 4}
	long := "Grüße ✓\nzwei"
	if err := errors.Join(c.Press(key), c.Point(pointer), c.Paste(long)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		select {
		case <-h.did:
		case <-time.After(2 * time.Minute):
			t.Fatalf("%v %v %q", h.keys, h.pointer, h.texts)
		}
	}
	h.mu.Lock()
	if !slices.Equal(h.keys, []screen.Key{key}) || !slices.Equal(h.pointer, []screen.Pointer{pointer}) || !slices.Equal(h.texts, []string{long}) {
		t.Errorf("%v %v %q", h.keys, h.pointer, h.texts)
	}
	h.mu.Unlock()
	texts <- long
	select {
	case got := <-copied:
		if got != long {
			t.Errorf("%q", got)
		}
	case <-time.After(2 * time.Minute):
		t.Error("nothing was copied")
	}
}

func TestPasswordsAreAskedForAndChecked(t *testing.T) {
	for name, c := range map[string]struct {
		asks  string
		login Login
		in    bool
	}{
		"right":          {"secret", Login{Password: "secret"}, true},
		"wrong":          {"secret", Login{Password: "guess"}, false},
		"none given":     {"secret", Login{}, false},
		"none asked":     {"", Login{Password: "secret"}, false},
		"a user too":     {"secret", Login{User: "x", Password: "secret"}, false},
		"a pin":          {"secret", Login{Password: "secret", Pin: &[32]byte{}}, false},
		"none and none":  {"", Login{}, true},
		"eight count":    {"12345678", Login{Password: "12345678 and more"}, true},
		"case counts":    {"secret", Login{Password: "SECRET"}, false},
		"empty and some": {"", Login{User: "x"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := screen.New(screen.Masks{}, keeper(forget))
			if err := errors.Join(s.Resize(3, 2), s.Show()); err != nil {
				t.Fatal(err)
			}
			near, far := pair(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() { _ = rfb.Serve(ctx, far, s, nil, rfb.Config{Password: c.asks}) }()
			_, err := Connect(ctx, near, screen.New(screen.Masks{}, keeper(forget)), Config{Login: c.login})
			if (err == nil) != c.in {
				t.Errorf("%v", err)
			}
		})
	}
}
