package lobby

import (
	"fmt"
	"testing"
	"time"
)

func TestAPaceKnowsBusyNamesThroughAFlood(t *testing.T) {
	p, now := NewPace(time.Second, 2), time.Unix(1e9, 0)
	for i := range 3 {
		if got := p.Allow("a", now); got != (i < 2) {
			t.Fatalf("take %d: %v", i+1, got)
		}
	}
	for i := range 5 * maxNames {
		p.Allow(fmt.Sprint(i), now)
		if i%1000 == 0 && p.Has("a", now) {
			t.Fatalf("forgot a name in use after %d others", i)
		}
	}
	if n := len(p.young) + len(p.old); n > maxNames {
		t.Errorf("remembers %d names", n)
	}
	if !p.Has("a", now.Add(time.Second)) || !p.Allow("a", now.Add(time.Second)) || p.Allow("a", now.Add(time.Second)) {
		t.Error("a second brings one")
	}
}
