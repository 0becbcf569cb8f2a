package screen

import (
	"testing"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/held"
	"github.com/sallyport/sallyport/session/screen"
)

// A device that says it is huge takes its session's share, a vendor its own, and nobody
// else's.
func TestHugeConsolesTakeTheirShare(t *testing.T) {
	r := newRoom(held.NewMemory(1 << 30))
	of := func(vendor string) *engine.Ticket {
		return &engine.Ticket{ID: session.NewID(), Engineer: session.Person{Identity: session.Identity{Iss: vendor, Sub: "x"}}}
	}
	one := of("a")
	if r.change(one, 0, screen.MaxPixels) != nil || session.KindOf(r.change(one, 0, 1)) != session.Refused {
		t.Error("a session has more than its share, or less")
	}
	if r.change(one, screen.MaxPixels, 100) != nil || r.change(one, 0, 100) != nil {
		t.Error("what is given back cannot be taken")
	}
	taken := 0
	for r.change(of("a"), 0, 1<<20) == nil {
		taken++
	}
	if taken != maxVendorPixels>>20-1 { // less the two of before
		t.Errorf("a vendor takes %d Mpx", taken)
	}
	if err := r.change(of("b"), 0, 1920*1080); err != nil {
		t.Errorf("another vendor: %v", err)
	}
	for range 2 {
		if err := r.change(one, 100, 0); err != nil {
			t.Error(err)
		}
	}
	if r.sessions[one.ID] != 0 || len(r.vendors) != 2 {
		t.Errorf("not all is given back: %+v", r)
	}
	t.Logf("ATTACK | consoles that say they are huge fill the agent's memory | %d Mpx a session, %d a vendor, %d in all, %d bytes each | %d Mpx of one vendor | holds", maxSessionPixels>>20, maxVendorPixels>>20, maxAllPixels>>20, PixelCost, taken)
}

// Consoles of two protocols have one memory: what one cannot have leaves nothing behind, and
// what the other gives back it can.
func TestProtocolsShareTheAgentsMemory(t *testing.T) {
	m := held.NewMemory(3 * 2 * screen.MaxPixels * PixelCost) // a session's third is two of the largest
	vnc, rdp, other := newRoom(m), newRoom(m), newRoom(m)
	of := &engine.Ticket{ID: session.NewID(), Engineer: session.Person{Identity: session.Identity{Iss: "a", Sub: "x"}}}
	for _, r := range []*room{vnc, rdp} {
		if err := r.change(of, 0, screen.MaxPixels); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.change(of, 0, 1); session.KindOf(err) != session.Refused || other.all != 0 || len(other.sessions)+len(other.vendors) != 0 {
		t.Errorf("a session has more than its share: %v, %+v", err, other)
	}
	if rdp.change(of, screen.MaxPixels, 0) != nil || other.change(of, 0, screen.MaxPixels) != nil {
		t.Error("what is given back cannot be taken")
	}
}
