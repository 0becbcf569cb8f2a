package lobby

import (
	"testing"
	"time"
)

func TestALogStaysReadable(t *testing.T) {
	q, now := NewQuiet(), time.Unix(1e9, 0)
	written, counted := 0, int64(0)
	for range 100_000 { // within ten minutes
		now = now.Add(6 * time.Millisecond)
		if held, ok := q.Says(now); ok {
			written++
			counted += held
		}
	}
	if held, ok := q.Says(now.Add(time.Minute)); !ok || counted+held+int64(written) != 100_000 {
		t.Errorf("%d written, %d counted, of 100000", written, counted+held)
	}
	if written > loudAtFirst+10 {
		t.Errorf("%d lines in ten minutes", written)
	}
	t.Logf("ATTACK | 100,000 connections of strangers that prove nothing, in ten minutes | 10 lines of log, then one a minute with a count | %d lines | holds", written)
}
