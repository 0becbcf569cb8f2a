package mirror

import (
	"fmt"
	"testing"
	"time"
)

// A number however large costs no more than a screen's worth of work.
func TestLargeNumbers(t *testing.T) {
	for _, n := range []int{65535, 1 << 20, 1<<31 - 1} {
		for final := '@'; final <= '~'; final++ {
			m := New(80, 24)
			m.Write([]byte("x"))
			done := make(chan struct{})
			go func() {
				defer close(done)
				for range 20 {
					m.Write(fmt.Appendf(nil, "\x1b[%d%c\x1b[%d;%d%c\x1b[?%d%c", n, final, n, n, final, n, final))
				}
			}()
			select {
			case <-done:
			case <-time.After(20 * time.Second):
				t.Fatalf("CSI %d %c takes too long", n, final)
			}
		}
	}
}

// An erasure beyond the end of the line ends there.
func TestEraseBeyondTheLine(t *testing.T) {
	a, b := New(80, 24), New(80, 24)
	const text = "first\r\nsecond\x1b[44m\x1b[1;3H"
	a.Write([]byte(text + "\x1b[99999X"))
	b.Write([]byte(text + "\x1b[78X"))
	same(t, "erased", a, b)
}
