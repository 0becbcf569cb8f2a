package desktop

import (
	"context"
	"image"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/screen"
	"github.com/sallyport/sallyport/session/screen/rfb"
	"github.com/sallyport/sallyport/session/vnc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// far is a console far away.
type far struct {
	*screen.Screen
	opened atomic.Int32
}

func (*far) Keep(screen.Change) error { return nil }

func newFar(t *testing.T, pix []uint32) *far {
	t.Helper()
	f := &far{}
	f.Screen = screen.New(screen.Masks{}, f)
	if err := f.Resize(40, 30); err != nil {
		t.Fatal(err)
	}
	f.Draw(image.Rect(0, 0, 40, 30), pix, 40)
	if err := f.Show(); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *far) open(ctx context.Context) (io.ReadWriteCloser, error) {
	f.opened.Add(1)
	near, there := net.Pipe()
	go func() { _ = rfb.Serve(ctx, there, f.Screen, nil, rfb.Config{}) }()
	return near, nil
}

// seen is what a viewer shows.
type seen struct {
	mu   sync.Mutex
	pix  []uint32
	news chan struct{}
}

func (s *seen) Keep(c screen.Change) error {
	s.mu.Lock()
	s.pix = slices.Clone(c.Pix)
	s.mu.Unlock()
	select {
	case s.news <- struct{}{}:
	default:
	}
	return nil
}

func look(t *testing.T, address, password string) (*vnc.Client, *seen, error) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := &seen{news: make(chan struct{}, 1)}
	c, err := vnc.Connect(t.Context(), conn, screen.New(screen.Masks{}, s), vnc.Config{Login: vnc.Login{Password: password}})
	if err != nil {
		_ = conn.Close()
	}
	return c, s, err
}

// A viewer that knows the password sees the console; one that does not costs nothing far
// away.
func TestViewersOfThisMachine(t *testing.T) {
	pix := make([]uint32, 40*30)
	for i := range pix {
		pix[i] = uint32(i * 7919 & 0xffffff)
	}
	f := newFar(t, pix)
	ctx, stop := context.WithCancel(context.Background())
	failed := make(chan error, 8)
	p, err := New(Config{Listen: "127.0.0.1:0", Open: f.open, Failed: func(err error) { failed <- err }})
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = p.Serve(ctx) })
	defer serving.Wait()
	defer stop()

	if _, _, err := look(t, p.Address(), "wrong"); err == nil {
		t.Error("a wrong password is taken")
	}
	if err := <-failed; session.KindOf(err) != session.Denied || f.opened.Load() != 0 {
		t.Errorf("%v; opened %d times", err, f.opened.Load())
	}
	c, s, err := look(t, p.Address(), p.Password())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var running sync.WaitGroup
	running.Go(func() { _ = c.Run() })
	defer running.Wait()
	defer c.Close()
	for end := time.After(time.Minute); ; {
		s.mu.Lock()
		same := slices.Equal(s.pix, pix)
		s.mu.Unlock()
		if same {
			break
		}
		select {
		case <-s.news:
		case <-end:
			t.Fatal("the console is not seen")
		}
	}
}

// Only this machine's own addresses are served.
func TestOnlyLoopback(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:0", ":0", "192.0.2.1:5900", "[::]:0", "127.0.0.1"} {
		if p, err := New(Config{Listen: listen}); err == nil || session.KindOf(err) != session.Invalid {
			t.Errorf("%s: %v, %v", listen, p, err)
		}
	}
}
