//go:build bench

package bench

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"io"
	"math/rand/v2"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session/screen"
	"github.com/sallyport/sallyport/session/screen/rfb"
	"github.com/sallyport/sallyport/session/vnc"
)

var full = image.Pt(1920, 1080)

// shows counts the pictures of a screen.
type shows func(c screen.Change)

func (s shows) Keep(c screen.Change) error { s(c); return nil }

// heard keeps what a server says.
type heard struct {
	net.Conn
	said bytes.Buffer
}

func (h *heard) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	h.said.Write(p[:n])
	return n, err
}

// again says it again, as fast as it is read.
type again struct {
	net.Conn
	said io.Reader
}

func (a again) Read(p []byte) (int, error)     { return a.said.Read(p) }
func (again) Write(p []byte) (int, error)      { return len(p), nil }
func (again) SetDeadline(time.Time) error      { return nil }
func (again) SetWriteDeadline(time.Time) error { return nil }
func (again) Close() error                     { return nil }

// contents are what full-screen changes look like.
func contents() map[string]func(pix []uint32, n int) {
	return map[string]func(pix []uint32, n int){
		"a console's pages, 1920×1080": func(pix []uint32, n int) { // rows of words on a few grounds
			r := rand.New(rand.NewPCG(1, uint64(n)))
			for y := range full.Y {
				row := pix[y*full.X : (y+1)*full.X]
				ground := []uint32{0xffffff, 0xf4f6f8, 0xd9e6f4}[(y/90+n)%3]
				for x := range row {
					row[x] = ground
				}
				if y%18 < 12 {
					for x := 20; x < full.X-300; x += 1 + r.IntN(6) {
						row[x] = []uint32{0x1d2733, 0x5b6b7c, 0x8fa3b7}[r.IntN(3)]
					}
				}
			}
		},
		"pictures in greys, 1920×1080": func(pix []uint32, n int) {
			for i := range pix {
				x, y := i%full.X%128-64, i/full.X%128-64
				g := uint32(n*3+(x*x+y*y)/64) & 0xff
				pix[i] = g<<16 | g<<8 | g
			}
		},
	}
}

// worked is the processor time that this process has taken.
func worked(t *testing.T) time.Duration {
	var u syscall.Rusage
	must(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// decoding is how fast the agent's client draws what a console sends, by processor time: other
// people's work on this machine is not counted.
func decoding(t *testing.T, tb *table) {
	for name, draw := range contents() {
		said, n := saidBy(t, draw)
		var rates []float64
		for range 5 {
			pictures := 0
			at := worked(t)
			c, err := vnc.Connect(t.Context(), again{said: bytes.NewReader(said)}, screen.New(screen.Masks{}, shows(func(screen.Change) { pictures++ })), vnc.Config{})
			if err == nil {
				err = c.Run()
			}
			if err != io.EOF || pictures < n {
				t.Fatalf("%d of %d pictures: %v", pictures, n, err)
			}
			rates = append(rates, float64(pictures*full.X*full.Y)/1e6/(worked(t)-at).Seconds())
		}
		tb.atLeast("decode "+name, median(rates), 150, "Mpx/s")
	}
}

// saidBy is what an RFB server says that shows n pictures to a client of ours.
func saidBy(t *testing.T, draw func([]uint32, int)) (said []byte, n int) {
	n = 20
	s := screen.New(screen.Masks{}, shows(func(screen.Change) {}))
	must(t, s.Resize(full.X, full.Y), s.Show())
	near, far := net.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = rfb.Serve(ctx, far, s, nil, rfb.Config{}) }()
	shown := make(chan struct{}, 100)
	conn := &heard{Conn: near}
	c, err := vnc.Connect(ctx, conn, screen.New(screen.Masks{}, shows(func(screen.Change) { shown <- struct{}{} })), vnc.Config{})
	must(t, err)
	done := make(chan struct{})
	go func() { defer close(done); _ = c.Run() }()
	<-shown
	pix := make([]uint32, full.X*full.Y)
	for i := range n {
		draw(pix, i+1)
		s.Draw(image.Rectangle{Max: full}, pix, full.X)
		must(t, s.Show())
		<-shown
	}
	_ = c.Close()
	<-done
	fmt.Printf("%d pictures are %.1f MB as they are sent\n", n, float64(conn.said.Len())/1e6)
	return conn.said.Bytes(), n
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func screens(t *testing.T, tb *table) {
	decoding(t, tb)
}
