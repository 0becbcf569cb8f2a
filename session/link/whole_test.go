package link_test

import (
	"bytes"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session/link"
)

// writes keeps what is written to a connection, write by write.
type writes struct {
	net.Conn
	mu   sync.Mutex
	all  []byte
	each []int
	more chan struct{}
}

func (w *writes) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all, w.each = append(w.all, p...), append(w.each, len(p))
	w.more <- struct{}{}
	return len(p), nil
}

func (w *writes) Close() error { return nil }

func TestAPacketInTwoPiecesLeavesInOneWrite(t *testing.T) {
	for name, c := range map[string]struct{ pieces, want []int }{
		"a keystroke":       {[]int{36}, []int{36}},
		"two pieces":        {[]int{4096, 28_700}, []int{32_796}},
		"a small rest":      {[]int{4096, 1}, []int{4097}},
		"larger than held":  {[]int{4096, 64 << 10}, []int{4096, 64 << 10}},
		"nothing but large": {[]int{40_000, 40_000}, []int{40_000, 40_000}},
	} {
		t.Run(name, func(t *testing.T) {
			at := &writes{more: make(chan struct{}, 10)}
			c2 := link.Whole(at)
			defer c2.Close()
			// The flusher may be faster than the second piece: then two writes are right
			// too, so the test gives it several chances to see one.
			for range 50 {
				var sent []byte
				at.all, at.each = nil, nil
				for i, n := range c.pieces {
					p := bytes.Repeat([]byte{byte(i + 1)}, n)
					sent = append(sent, p...)
					if got, err := c2.Write(p); got != n || err != nil {
						t.Fatalf("wrote %d, %v", got, err)
					}
				}
				at.mu.Lock()
				same, each := bytes.Equal(at.all, sent), slices.Clone(at.each)
				at.mu.Unlock()
				if !same {
					t.Fatal("the bytes changed")
				}
				for len(at.more) > 0 {
					<-at.more
				}
				if slices.Equal(each, c.want) {
					return
				}
			}
			t.Errorf("never written as %v, at last as %v", c.want, at.each)
		})
	}
}

func TestAPacketThatEndsWithItsFirstPieceIsSent(t *testing.T) {
	at := &writes{more: make(chan struct{}, 10)}
	c := link.Whole(at)
	defer c.Close()
	if _, err := c.Write(make([]byte, 4096)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-at.more:
	case <-time.After(10 * time.Second):
		t.Fatal("a packet of exactly the buffer's size was never sent")
	}
}

func TestAFailedFlushIsToldToTheNextWrite(t *testing.T) {
	near, far := net.Pipe()
	_ = far.Close()
	c := link.Whole(near)
	defer c.Close()
	_, _ = c.Write(make([]byte, 4096))
	for {
		if _, err := c.Write([]byte{1}); err != nil {
			if err != io.ErrClosedPipe {
				t.Fatal(err)
			}
			return
		}
	}
}
