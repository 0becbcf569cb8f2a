package hostile

import (
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/sallyport/sallyport/cmd/internal/simulator"
)

// A scanner floods every channel that a session may have, and the engineer reads none of
// them: what waits is what each channel's window lets in, once at the agent for the device
// and once here for the engineer. One channel more is refused.
func TestChannelsThatNobodyReadsHoldTheirWindows(t *testing.T) {
	const window, rest = 2 << 20, 128 << 20 // bytes of one channel's, and of recordings, screens and all else
	each := 2                               // channels of a connection, of which there are three
	if os.Getenv("SALLYPORT_PROVE") != "" {
		each = 16
	}
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	s := besiegeWith(t, simulator.Flood)
	a := s.granted(600)
	before := heap()
	shells := 0
	for range 3 {
		c := s.dial(a)
		for range each {
			if _, err := s.shell(c, false); err == nil {
				shells++
			}
		}
	}
	if shells != min(32, 3*each) {
		t.Errorf("%d channels of one session are open", shells)
	}
	var highest int64
	for began := time.Now(); highest < int64(shells*2*window) && time.Since(began) < 5*time.Second; time.Sleep(50 * time.Millisecond) {
		highest = max(highest, heap()-before)
	}
	if bound := int64(shells*2*window*5/4 + rest); highest > bound { // a packet takes more than it carries
		t.Errorf("%d bytes of heap, at most %d", highest, bound)
	}
	t.Logf("ATTACK | a scanner floods %d channels of one session that nobody reads | 2 MiB each at the agent and 2 at the engineer, who is in this process | %d MiB for both, recordings and all | holds", shells, highest>>20)
}
