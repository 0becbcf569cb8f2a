package screen

import (
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/screen"
	"github.com/sallyport/sallyport/session/wording"
)

func noteOf(e session.Event) (n session.Note, ok bool) {
	return n, e.Kind == session.Marker && json.Unmarshal(e.Data, &n) == nil
}

var size = image.Pt(320, 200)

// paint draws something new on the device and returns all that it shows.
func (d *desk) paint(t *testing.T, pix []uint32) []uint32 {
	t.Helper()
	r := image.Rect(rand.IntN(300), rand.IntN(180), 320, 200)
	part := make([]uint32, r.Dx()*r.Dy())
	for i := range part {
		part[i] = rand.Uint32() & 0xffffff
	}
	d.Draw(r, part, r.Dx())
	must(t, d.Show())
	pix = slices.Clone(pix)
	for y := range r.Dy() {
		copy(pix[(r.Min.Y+y)*size.X+r.Min.X:], part[y*r.Dx():(y+1)*r.Dx()])
	}
	return pix
}

// What the device shows is what a browser shows, a program inside of TLS, who comes late,
// and the recording.
func TestAConsoleIsSeenAndRecorded(t *testing.T) {
	w := newWorld(t, size, screen.Masks{}, session.NonDisruptive, session.Control)
	pix := w.device.paint(t, make([]uint32, size.X*size.Y))
	first := w.look(false)
	w.until("the first viewer sees it", func() bool { return first.shows(size, pix) })
	pix = w.device.paint(t, pix)
	second := w.look(true)
	w.until("who comes late sees it", func() bool { return second.shows(size, pix) && first.shows(size, pix) })
	if !second.welcome.Resumed || first.welcome.Resumed || !slices.Equal(first.welcome.Channels, []session.Channel{session.Control}) {
		t.Errorf("%+v, %+v", first.welcome, second.welcome)
	}
	if got := w.tape().shown(t); !slices.Equal(got.Pix, pix) || got.Hidden {
		t.Error("the recording shows something else")
	}
	must(t, w.device.Resize(64, 48))
	must(t, w.device.Show())
	small := make([]uint32, 64*48)
	w.until("the new size is seen", func() bool { return first.shows(image.Pt(64, 48), small) && second.shows(image.Pt(64, 48), small) })
}

// A freeze lets go of what is held, on record first; what comes then is dropped and
// counted, for every viewer, and nothing of it comes after the thaw.
func TestAFreezeLetsGo(t *testing.T) {
	w := newWorld(t, size, screen.Masks{}, session.NonDisruptive, session.Control)
	first, second := w.look(false), w.look(false)
	must(t, first.Press(screen.Key{Sym: 'a', Down: true}))
	must(t, first.Point(screen.Pointer{At: image.Pt(5, 6), Buttons: 1}))
	must(t, second.Press(screen.Key{Sym: 'b', Down: true}))
	w.until("the device has it", func() bool { return len(w.device.all()) == 3 })
	if _, err := w.engine.Freeze(w.ticket.ID, "hospital", "Sam"); err != nil {
		t.Fatal(err)
	}
	after := len(w.device.all())
	if got := w.device.all(); after > 6 {
		t.Fatalf("%v", got)
	}
	w.until("all is let go of", func() bool { return len(w.device.all()) == 6 })
	for _, want := range []string{"key 97 false", "pointer (5,6) 0", "key 98 false"} {
		if !slices.Contains(w.device.all(), want) {
			t.Errorf("%v lacks %s", w.device.all(), want)
		}
	}
	w.until("both are told", func() bool {
		one, both := first.told(attach.NoticeFrozen)
		two, told := second.told(attach.NoticeFrozen)
		const words = "The hospital froze this session. You can look; keys, clicks and pasted text are dropped, not kept for later. The time runs on."
		return both && told && one.Text == words && two.Text == words
	})
	must(t, first.Press(screen.Key{Sym: 'c', Down: true}))
	must(t, first.Press(screen.Key{Sym: 'c'}))
	must(t, second.Point(screen.Pointer{At: image.Pt(9, 9), Buttons: 1}))
	pix := w.device.paint(t, make([]uint32, size.X*size.Y))
	w.until("the picture goes on", func() bool { return first.shows(size, pix) && second.shows(size, pix) })
	w.until("all was dropped", func() bool { return w.console().hands.drops.Load() == 3 })
	if _, err := w.engine.Thaw(w.ticket.ID, "hospital", "Sam"); err != nil {
		t.Fatal(err)
	}
	w.until("how much was dropped is on record", func() bool {
		n := w.tape().notes(session.NoteDropped)
		return len(n) == 1 && n[0].Count == 3
	})
	must(t, second.Press(screen.Key{Sym: 'd', Down: true}))
	w.until("work goes on", func() bool { return len(w.device.all()) == 7 })
	if got := w.device.all(); got[6] != "key 100 true" || !slices.Equal(sorted(got), sorted(w.tape().inputs(t))) {
		t.Errorf("device %v, recording %v", got, w.tape().inputs(t))
	}
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

func (w *world) console() *console {
	w.t.Helper()
	l := w.line
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.consoles {
		return c
	}
	w.t.Fatal("there is no console")
	return nil
}

// Who only looks does nothing by hand, whichever channels say otherwise.
func TestWhoLooksTouchesNothing(t *testing.T) {
	for name, w := range map[string]*world{
		"no control": newWorld(t, size, screen.Masks{}, session.NonDisruptive, session.ClipboardOut),
		"observe":    newWorld(t, size, screen.Masks{}, session.Observe, session.Control, session.ClipboardIn),
	} {
		v := w.look(false)
		if slices.ContainsFunc(v.welcome.Channels, func(by session.Channel) bool { return by != session.ClipboardOut }) {
			t.Errorf("%s: the page is told of %v", name, v.welcome.Channels)
		}
		must(t, v.Press(screen.Key{Sym: 'a', Down: true}))
		must(t, v.Point(screen.Pointer{Buttons: 1}))
		must(t, v.Paste("x"))
		w.until("it was dropped", func() bool { return w.console().hands.drops.Load() >= 3 })
		if got, on := w.device.all(), w.tape().inputs(t); len(got) > 0 || len(on) > 0 {
			t.Errorf("%s: %v, %v", name, got, on)
		}
	}
}

// What is hidden is in no window and in no recording, and nothing is copied from there.
func TestMasksHide(t *testing.T) {
	box := image.Rect(10, 10, 200, 50)
	masks := screen.Masks{Rules: []screen.Mask{{Screen: size, Boxes: []image.Rectangle{box}}}}
	w := newWorld(t, size, masks, session.NonDisruptive, session.Control, session.ClipboardOut)
	pix := w.device.paint(t, make([]uint32, size.X*size.Y))
	v := w.look(false)
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			pix[y*size.X+x] = 0x3a4450
		}
	}
	w.until("all but the box is seen", func() bool { return v.shows(size, pix) })
	if got := w.tape().shown(t); !slices.Equal(got.Pix, pix) || !got.Hidden {
		t.Error("the recording shows something else")
	}
	w.until("that is said", func() bool { n, _ := v.told(attach.NoticeMasked); return n.Masked == attach.MaskedSome })
	seen := w.line.Look(w.ticket.ID, size.X)
	if seen == nil || seen.Bounds().Max != size || seen.At(box.Min.X, box.Min.Y) != (color.RGBA{0x3a, 0x44, 0x50, 0xff}) {
		t.Errorf("a picture for the hospital's own page shows something else: %v", seen)
	}
	if w.line.Look(session.NewID(), size.X) != nil {
		t.Error("another session has a picture")
	}
	w.device.texts <- "Doe, Jane"
	w.until("nothing was copied", func() bool { _, said := v.told(attach.NoticeSaid); return said })
	must(t, w.device.Resize(300, 200))
	must(t, w.device.Show())
	w.until("another size is hidden whole", func() bool { n, _ := v.told(attach.NoticeMasked); return n.Masked == attach.MaskedAll })
	select {
	case text := <-v.copied:
		t.Errorf("copied %q", text)
	default:
	}
}

// The clipboard goes the ways that were granted, on record both ways.
func TestClipboard(t *testing.T) {
	w := newWorld(t, size, screen.Masks{}, session.NonDisruptive, session.Control, session.ClipboardIn, session.ClipboardOut)
	v := w.look(false)
	w.device.texts <- "Größe 12"
	select {
	case text := <-v.copied:
		if text != "Größe 12" {
			t.Errorf("copied %q", text)
		}
	case <-t.Context().Done():
	}
	must(t, v.Paste("façade"))
	w.until("it is pasted", func() bool { return slices.Contains(w.device.all(), "paste façade") })
	if !slices.Contains(w.tape().inputs(t), "paste façade") {
		t.Error("it is not on record")
	}
}

// Who leaves holds nothing down; the console waits, and is the same when somebody comes back.
func TestWhoLeavesLetsGo(t *testing.T) {
	w := newWorld(t, size, screen.Masks{}, session.NonDisruptive, session.Control)
	v := w.look(false)
	must(t, v.Press(screen.Key{Sym: 'a', Down: true}))
	w.until("the device has it", func() bool { return len(w.device.all()) == 1 })
	must(t, v.near.Close())
	w.until("it is let go of", func() bool { return slices.Equal(w.device.all(), []string{"key 97 true", "key 97 false"}) })
	again := w.look(true)
	if !again.welcome.Resumed || len(w.tapes) != 1 {
		t.Errorf("%+v, %d recordings", again.welcome, len(w.tapes))
	}
}

// Who leaves in the very moment of a freeze leaves nothing held down.
func TestWhoLeavesInAFreezeLetsGo(t *testing.T) {
	w := newWorld(t, size, screen.Masks{}, session.NonDisruptive, session.Control)
	v := w.look(false)
	must(t, v.Press(screen.Key{Sym: 'a', Down: true}))
	w.until("the device has it", func() bool { return len(w.device.all()) == 1 })
	c := w.console()
	c.hands.Lock() // nothing is let go of yet
	frozen := make(chan error, 1)
	go func() {
		_, err := w.engine.Freeze(w.ticket.ID, "hospital", "Sam")
		frozen <- err
	}()
	w.until("the gate is shut", func() bool { return c.c.Gate(nil, nil).Try(func() error { return nil }) != nil })
	must(t, v.near.Close())
	for range 100 { // however far the leaving comes before the freeze lets go
		if len(c.viewers()) == 0 {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	c.hands.Unlock()
	w.until("it is let go of", func() bool { return slices.Equal(w.device.all(), []string{"key 97 true", "key 97 false"}) })
	must(t, <-frozen)
}

// Everybody hears why it is over, and the recording is closed with the reason.
func TestAConsoleEnds(t *testing.T) {
	for name, end := range map[string]func(w *world) session.EndReason{
		"killed": func(w *world) session.EndReason {
			must(t, w.engine.End(w.ticket.ID, session.KilledLocal, "Sam"))
			return session.KilledLocal
		},
		"the device went": func(w *world) session.EndReason {
			w.device.Screen.Close(io.EOF)
			return session.DeviceClosed
		},
		"nothing can be recorded": func(w *world) session.EndReason {
			r := w.tape()
			r.mu.Lock()
			r.broken = true
			r.mu.Unlock()
			w.device.paint(t, make([]uint32, size.X*size.Y))
			return session.RecorderLost
		},
	} {
		w := newWorld(t, size, screen.Masks{}, session.NonDisruptive, session.Control)
		v := w.look(false)
		reason := end(w)
		w.until(name+" is told", func() bool { n, ok := v.told(attach.NoticeEnded); return ok && n.Reason == reason && n.Text != "" })
		<-w.tape().done
		if w.tape().closed != reason {
			t.Errorf("%s: closed for %s", name, w.tape().closed)
		}
	}
}

// parting is a console that says why it ends.
type parting struct {
	Client
	why error
}

func (p parting) Run() error {
	_ = p.Client.Run()
	return p.why
}

// What a console says as it ends is what its viewers read, and stands on the recording.
func TestAConsoleSaysWhyItEnds(t *testing.T) {
	taken := session.Errorf(session.Refused, "Somebody else connected to the console.").WithNext("Ask who works there.")
	for name, c := range map[string]struct {
		why  error
		says string
	}{
		"it says why": {fmt.Errorf("status 5: %w", taken), "Somebody else connected to the console. Ask who works there."},
		"it hangs up": {io.EOF, wording.Farewell(session.DeviceClosed)},
	} {
		w := newWorld(t, size, screen.Masks{}, session.NonDisruptive, session.Control)
		w.line.cfg.Dial = func(ctx context.Context, t ledger.Ticket, service string, use Use) (Client, error) {
			client, err := w.dial(ctx, t, service, use)
			return parting{client, c.why}, err
		}
		v := w.look(false)
		w.device.Screen.Close(io.EOF)
		w.until(name+" is told", func() bool {
			n, ok := v.told(attach.NoticeEnded)
			return ok && n.Reason == session.DeviceClosed && n.Text == c.says
		})
		<-w.tape().done
		said := w.tape().notes(session.NoteSaid)
		if known := c.why != io.EOF; known != (len(said) == 1 && said[0].Text == c.says) || !known && len(said) > 0 {
			t.Errorf("%s: the recording says %+v", name, said)
		}
		w.until(name+" is told to the hospital, or is nothing to tell", func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			no := w.told.NoDevice
			return c.why == io.EOF && no == nil || no != nil && no.Message+" "+no.Next == c.says
		})
	}
}

// A connection that broke is dialled again while the session may work, and not while it is
// frozen, nor when it is over.
func TestABrokenConsoleIsDialledAgainInsideTheSessionAlone(t *testing.T) {
	w := newWorld(t, size, screen.Masks{}, session.NonDisruptive, session.Control)
	w.look(false)
	c := w.console()
	must(t, c.again())
	_, err := w.engine.Freeze(w.ticket.ID, "local", "Tom")
	must(t, err)
	if err := c.again(); session.KindOf(err) != session.Refused {
		t.Errorf("frozen: %v", err)
	}
	_, err = w.engine.Thaw(w.ticket.ID, "local", "Tom")
	must(t, err)
	must(t, c.again())
	must(t, w.engine.End(w.ticket.ID, session.OutOfTime, "")) // as its deadline does
	if err := c.again(); err == nil {
		t.Errorf("over: %v", err)
	}
}
