package vnc

import (
	"bytes"
	"context"
	"image"
	"io"
	"net"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session/screen"
	"github.com/sallyport/sallyport/session/screen/rfb"
)

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

// words are rows of them on a few grounds, greys slices of something round.
func words(wide, i, n int) uint32 {
	x, y := i%wide, i/wide
	if h := uint32(x/3+y*7919+n*104729) * 2654435761; y%18 < 12 && x > 20 && h>>28 < 5 {
		return []uint32{0x1d2733, 0x5b6b7c, 0x8fa3b7}[h>>8%3]
	}
	return []uint32{0xffffff, 0xf4f6f8, 0xd9e6f4}[(y/90+n)%3]
}

func greys(wide, i, n int) uint32 {
	x, y := i%wide%128-64, i/wide%128-64
	return uint32(n*3+(x*x+y*y)/64) & 0xff * 0x10101
}

// BenchmarkDraw is a client that draws full changes of a screen as our own server packs them.
func BenchmarkDraw(b *testing.B) {
	for name, draw := range map[string]func(wide, i, n int) uint32{"words": words, "greys": greys} {
		for encoding, first := range map[string]int32{"tight": rfb.Tight, "zrle": rfb.ZRLE} {
			b.Run(name+"/"+encoding, func(b *testing.B) {
				said, pixels := drawn(b, draw, first)
				b.ReportAllocs()
				for b.Loop() {
					c, err := Connect(b.Context(), again{said: bytes.NewReader(said)}, screen.New(screen.Masks{}, keeper(forget)), Config{first: first})
					if err == nil {
						err = c.Run()
					}
					if err != io.EOF {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.N)*float64(pixels)/1e6/b.Elapsed().Seconds(), "Mpx/s")
			})
		}
	}
}

// drawn is what a server says that shows some pictures, and how many pixels they are.
func drawn(b *testing.B, draw func(wide, i, n int) uint32, first int32) (said []byte, pixels int) {
	const pictures = 5
	full := image.Rect(0, 0, 1920, 1080)
	s := screen.New(screen.Masks{}, keeper(forget))
	if err := s.Resize(full.Dx(), full.Dy()); err != nil {
		b.Fatal(err)
	}
	near, far := net.Pipe()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	go func() { _ = rfb.Serve(ctx, far, s, nil, rfb.Config{}) }()
	conn, shown := &heard{Conn: near}, make(chan int, 100)
	pix := make([]uint32, full.Dx()*full.Dy())
	put := func(n int) {
		for i := range pix {
			pix[i] = draw(full.Dx(), i, n)
		}
		s.Draw(full, pix, full.Dx())
		if err := s.Show(); err != nil {
			b.Fatal(err)
		}
	}
	put(0)
	c, err := Connect(ctx, conn, screen.New(screen.Masks{}, keeper(func(c screen.Change) error {
		if c.Resized || len(c.Tiles) > 0 { // a cursor alone is no picture
			shown <- conn.said.Len()
		}
		return nil
	})), Config{first: first})
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = c.Run() }()
	end := <-shown
	for n := range pictures {
		put(n + 1)
		end = <-shown
	}
	_ = c.Close()
	<-done
	return conn.said.Bytes()[:end], pictures * len(pix)
}
