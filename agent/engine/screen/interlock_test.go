package screen

import (
	"context"
	"fmt"
	"image"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/interlock"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/screen"
)

func (w *world) become(to session.ModalityState) {
	w.state.Store(to)
	w.engine.ModalityChanged("NGH-PETCT1")
}

// lettingGo takes away what a freeze itself does at a device: it lets go of keys.
func lettingGo(done []string) []string {
	return slices.DeleteFunc(slices.Clone(done), func(s string) bool {
		return strings.HasSuffix(s, "false") || strings.HasPrefix(s, "pointer") && strings.HasSuffix(s, " 0")
	})
}

// Random states of a scanner while somebody presses keys without end: in a state that
// forbids it no key reaches the console, the picture goes on, and the reason is told.
func TestNoKeyReachesAConsoleWhoseStateForbidsIt(t *testing.T) {
	w := newWorld(t, size, screen.Masks{}, session.NonDisruptive, session.Control)
	w.state.Store(session.InService)
	v := w.look(false)
	stop, typed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(typed)
		pace := time.NewTicker(2 * time.Millisecond) // a hand that is fast, not endless: all it does is compared
		defer pace.Stop()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-pace.C:
			}
			_ = v.Press(screen.Key{Sym: uint32('a' + i%26), Down: true})
			_ = v.Press(screen.Key{Sym: uint32('a' + i%26)})
			_ = v.Point(screen.Pointer{At: image.Pt(i%40, 1), Buttons: 1})
		}
	}()
	goesOn := func() {
		t.Helper()
		was := len(w.device.all())
		w.until("keys arrive", func() bool { return len(w.device.all()) > was })
	}
	goesOn()
	pix := make([]uint32, size.X*size.Y)
	r := rand.New(rand.NewPCG(3, 4))
	for freezes := 0; freezes < 4; {
		to := session.ModalityStates()[r.IntN(6)]
		if interlock.Rules(nil).Permit(w.ticket.Class, to, session.Control) == interlock.Allowed {
			w.become(to)
			goesOn()
			continue
		}
		freezes++
		marks := len(w.tape().notes(session.NoteFrozen))
		w.become(to)
		w.until("the freeze is on record", func() bool { return len(w.tape().notes(session.NoteFrozen)) > marks })
		w.until("the device has what stands on record", func() bool { return len(w.device.all()) == len(w.tape().inputs(t)) })
		held := lettingGo(w.device.all())
		w.until("the window is told why", func() bool {
			n, ok := v.told(attach.NoticeFrozen)
			return ok && strings.Contains(n.Text, to.Words()) && slices.Contains(n.Causes, engine.CauseInterlock)
		})
		pix = w.device.paint(t, pix)
		w.until("the picture goes on", func() bool { return v.shows(size, pix) })
		w.become(session.ModalityIdle)
		late := w.look(true) // who comes now sees it, too
		w.until("a second window sees it", func() bool { return late.shows(size, pix) })
		if now := lettingGo(w.device.all()); !slices.Equal(now, held) {
			t.Fatalf("in %s the device got %v", to, now[len(held):])
		}
		_, err := w.engine.Thaw(w.ticket.ID, engine.CauseInterlock, "Tom")
		must(t, err)
		_ = late.near.Close()
		goesOn()
	}
	close(stop)
	_ = v.near.Close()
	<-typed
	if n := w.tape().notes(session.NoteModality); len(n) < 4 {
		t.Errorf("on record are %v", n)
	}
	t.Logf("ATTACK | keys and clicks without end at a console whose scanner's state forbids it | 0 reach the device | 0 in 4 freezes | holds")
}

// With a patient on the table a console may be opened to look at, and nothing else.
func TestAConsoleIsOpenedToLookAt(t *testing.T) {
	for _, state := range []session.ModalityState{session.PatientOnTable, session.ModalityUnknown, session.Scanning} {
		t.Run(string(state), func(t *testing.T) {
			w := newWorld(t, size, screen.Masks{}, session.NonDisruptive, session.Control)
			w.state.Store(state)
			v := w.look(false)
			if !slices.Equal(v.welcome.Frozen, []string{engine.CauseInterlock}) {
				t.Errorf("welcome: %+v", v.welcome)
			}
			pix := w.device.paint(t, make([]uint32, size.X*size.Y))
			w.until("it is seen", func() bool { return v.shows(size, pix) })
			must(t, v.Press(screen.Key{Sym: 'x', Down: true}))
			must(t, v.Press(screen.Key{Sym: 'x'}))
			_, err := w.engine.Freeze(w.ticket.ID, "local", "Tom")
			must(t, err)
			pix = w.device.paint(t, pix)
			w.until("it is seen on", func() bool { return v.shows(size, pix) })
			w.until("the keys were dropped", func() bool { return w.console().hands.drops.Load() >= 2 })
			if got := w.device.all(); len(got) > 0 {
				t.Errorf("the device got %v", got)
			}
			w.become(session.InService)
			left, err := w.engine.Thaw(w.ticket.ID, "local", "Tom")
			if err != nil || fmt.Sprint(left) != "[interlock]" {
				t.Errorf("%v, %v", left, err)
			}
			must(t, w.engine.End(w.ticket.ID, session.KilledLocal, "Tom"))
		})
	}
}

// With the key switch off a console is not even looked at: nothing is dialled or recorded.
func TestBehindAKeyThatIsOffNothingIsLookedAt(t *testing.T) {
	w := newWorld(t, size, screen.Masks{}, session.NonDisruptive, session.Control)
	w.shut = "key-switch: is off"
	w.state.Store(session.ModalityUnknown)
	near, far := tcpPipe(t)
	var served sync.WaitGroup
	served.Go(func() {
		w.engine.Serve(context.Background(), engine.Visit{Door: link.DoorAttach, Asset: "NGH-PETCT1", Service: "console-vnc", Peer: "192.0.2.7"}, far)
	})
	defer func() { _ = near.Close(); served.Wait() }()
	c, err := attach.NewClient(near)
	must(t, err)
	_, err = c.Begin(w.key, attach.Proof{Session: w.ticket.ID.Session(), Opening: attach.ConsoleOpening()})
	if err == nil || !strings.Contains(err.Error(), "shut the scanner off from service (key-switch: is off)") {
		t.Errorf("she is told %v", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.tapes) != 0 {
		t.Error("something was recorded")
	}
}
