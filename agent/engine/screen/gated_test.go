package screen

import (
	"image"
	"slices"
	"testing"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/screen"
)

// Whatever forgets the gate does nothing at a console, before a freeze, during it and
// after the end; what the engine itself lets go of passes.
func TestNothingIsDonePastTheGate(t *testing.T) {
	w := newWorld(t, size, screen.Masks{}, session.NonDisruptive, session.Control, session.ClipboardIn)
	v := w.look(false)
	must(t, v.Press(screen.Key{Sym: 'a', Down: true}))
	w.until("the device has it", func() bool { return len(w.device.all()) == 1 })
	c := w.console()
	past := func(when string) {
		t.Helper()
		for what, err := range map[string]error{
			"a key":       c.client.Press(screen.Key{Sym: 'x', Down: true}),
			"the pointer": c.client.Point(screen.Pointer{At: image.Pt(1, 1), Buttons: 1}),
			"a text":      c.client.Paste("x"),
		} {
			if err == nil {
				t.Errorf("%s passed, %s", what, when)
			}
		}
	}
	past("while all may pass")
	_, err := w.engine.Freeze(w.ticket.ID, "hospital", "Sam")
	must(t, err)
	past("frozen")
	_, err = w.engine.Thaw(w.ticket.ID, "hospital", "Sam")
	must(t, err)
	must(t, v.Press(screen.Key{Sym: 'b', Down: true}))
	want := []string{"key 97 true", "key 97 false", "key 98 true"}
	w.until("the device has what passed", func() bool { return len(w.device.all()) >= len(want) })
	must(t, w.engine.End(w.ticket.ID, session.KilledLocal, "Sam"))
	past("after the end")
	if got := w.device.all(); !slices.Equal(got, want) || !slices.Equal(w.tape().inputs(t), want) {
		t.Errorf("the device has %v, on record are %v", got, w.tape().inputs(t))
	}
	if err := c.c.Gate(nil, nil).Pass(func() error { return nil }); err != engine.ErrOver {
		t.Errorf("%v", err)
	}
	t.Logf("ATTACK | a line of the agent acts at a console past the gate, in 3 ways at 3 times | 0 reach the device | 0 | holds")
}
