package screen

import (
	"bytes"
	"fmt"
	"image"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/recordings/frames"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/interlock"
	"github.com/sallyport/sallyport/session/screen"
)

// xvnc is a real console: TigerVNC's server, and on it xev, which says what arrives.
type xvnc struct {
	addr    string
	display string

	mu    sync.Mutex
	line  []byte // that is not whole yet
	what  string // the event that is being told
	shown bool
	heard []string // of keys and buttons
}

// Write takes what xev says, each line once: all is looked at again and again.
func (x *xvnc) Write(b []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.line = append(x.line, b...)
	for {
		line, rest, whole := bytes.Cut(x.line, []byte("\n"))
		if !whole {
			return len(b), nil
		}
		x.says(string(line))
		x.line = bytes.Clone(rest)
	}
}

var told = regexp.MustCompile(`keysym 0x([0-9a-f]+),|button (\d+),`)

func (x *xvnc) says(line string) {
	if kind, _, begins := strings.Cut(line, " event, serial"); begins {
		x.what = kind
		x.shown = x.shown || kind == "Expose"
		return
	}
	m := told.FindStringSubmatch(line)
	if m == nil || x.what == "" {
		return
	}
	down := strings.HasSuffix(x.what, "Press")
	x.what = ""
	if m[1] == "" {
		x.heard = append(x.heard, fmt.Sprintf("button %s %v", m[2], down))
		return
	}
	var sym uint32
	_, _ = fmt.Sscanf(m[1], "%x", &sym)
	x.heard = append(x.heard, fmt.Sprintf("key %d %v", sym, down))
}

func (x *xvnc) all() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.heard)
}

func (x *xvnc) count() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.heard)
}

func (x *xvnc) isShown() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.shown
}

// keep runs a program until the test ends.
func keep(t *testing.T, c *exec.Cmd) {
	t.Helper()
	must(t, c.Start())
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
}

func startXvnc(t *testing.T, size image.Point) *xvnc {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	x := &xvnc{addr: l.Addr().String()}
	port := l.Addr().(*net.TCPAddr).Port
	must(t, l.Close())
	r, w, err := os.Pipe()
	must(t, err)
	server := exec.Command("Xvnc", fmt.Sprintf(":%d", 1000+port%20000), "-displayfd", "3", "-geometry", fmt.Sprintf("%dx%d", size.X, size.Y), "-depth", "24",
		"-rfbport", fmt.Sprint(port), "-localhost", "-SecurityTypes", "None", "-noreset", "-nolisten", "tcp")
	server.ExtraFiles = []*os.File{w}
	keep(t, server)
	must(t, w.Close())
	var number int
	if _, err := fmt.Fscan(r, &number); err != nil {
		t.Fatalf("Xvnc says no display: %v", err)
	}
	x.display = fmt.Sprintf("DISPLAY=:%d", number)
	on := func(name string, args ...string) *exec.Cmd {
		c := exec.Command(name, args...)
		c.Env = append(os.Environ(), x.display)
		return c
	}
	must(t, on("xset", "r", "off").Run()) // a key that is held long on a busy machine is one key
	c := on("stdbuf", "-oL", "xev", "-geometry", fmt.Sprintf("%dx%d+0+0", size.X, size.Y), "-event", "keyboard", "-event", "button", "-event", "expose")
	c.Stdout = x
	keep(t, c)
	for end := time.Now().Add(patience); !x.isShown(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("xev shows nothing")
		}
	}
	return x
}

// written is what stands on a recording of keys and of the first button, as X tells it.
type written struct {
	tape *tape
	at   int // of its events, those that were read
	held bool
	all  []string
}

func (r *written) read(t *testing.T) []string {
	r.tape.mu.Lock()
	defer r.tape.mu.Unlock()
	for ; r.at < len(r.tape.events); r.at++ {
		e := r.tape.events[r.at]
		if e.Kind != session.Input {
			continue
		}
		in, err := frames.ParseInput(e.Data)
		must(t, err)
		if in.Kind == frames.Key {
			r.all = append(r.all, fmt.Sprintf("key %d %v", in.Sym, in.Down))
		} else if down := in.Buttons == 1; down != r.held {
			r.all, r.held = append(r.all, fmt.Sprintf("button 1 %v", down)), down
		}
	}
	return r.all
}

// Random states of a scanner, freezes by hand, and attempts to lift what may not be lifted,
// while two people type and click without end at a real console by VNC: what the console's own
// X server hears is what stands on record, in its order; and from the moment at which a freeze
// is on record until somebody lifts it, it hears no key and no click.
func TestNoKeyReachesARealConsoleWhoseStateForbidsIt(t *testing.T) {
	for _, class := range []session.Class{session.NonDisruptive, session.Disruptive} {
		t.Run(string(class), func(t *testing.T) { forbidAtRandom(t, class, rand.Uint64()) })
	}
}

func forbidAtRandom(t *testing.T, class session.Class, seed uint64) {
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	device := startXvnc(t, size)
	w := newWorld(t, size, screen.Masks{}, class, session.Control)
	w.device.addr = device.addr
	w.state.Store(session.InService)
	stop := make(chan struct{})
	var typing sync.WaitGroup
	hands := []*window{w.look(false), w.look(true)}
	for i, v := range hands {
		typing.Go(func() { v.worksOn(uint32('a'+13*i), stop) })
	}
	record := written{tape: w.tape()}
	onRecord := func() []string { return record.read(t) }
	goesOn := func() {
		t.Helper()
		was := device.count()
		w.until("keys arrive", func() bool { return device.count() > was })
	}
	goesOn()
	forbidden, lifted, steps := 0, 0, 0
	for ; forbidden < 8; steps++ {
		to := session.ModalityStates()[r.IntN(6)]
		byHand := r.IntN(4) == 0
		if !byHand && interlock.Rules(nil).Permit(class, to, session.Control) == interlock.Allowed {
			w.become(to)
			goesOn()
			continue
		}
		forbidden++
		marks := len(w.tape().notes(session.NoteFrozen))
		if byHand {
			_, err := w.engine.Freeze(w.ticket.ID, "local", "Tom")
			must(t, err)
		} else {
			w.become(to)
		}
		w.until("what was on its way has passed, and the freeze is on record", func() bool { return len(w.tape().notes(session.NoteFrozen)) > marks })
		frozen := len(onRecord())
		drops := w.console().hands.drops.Load()
		w.until("the console has what stood on record", func() bool { return device.count() == len(onRecord()) })
		w.until("they type on", func() bool { return w.console().hands.drops.Load() > drops+20 })
		heard := device.all()
		for range r.IntN(3) {
			lifted++
			if _, err := w.engine.Thaw(w.ticket.ID, "broker", "Mallory"); err == nil {
				t.Fatal("the broker lifts it")
			}
			if _, err := w.engine.Thaw(w.ticket.ID, engine.CauseInterlock, "Tom"); !byHand && session.KindOf(err) != session.Refused {
				t.Fatalf("it is lifted in %s: %v", to, err)
			}
		}
		if !byHand {
			w.become(session.InService) // it relaxes, and nobody has lifted it
		}
		drops = w.console().hands.drops.Load()
		w.until("they type on and on", func() bool { return w.console().hands.drops.Load() > drops+20 })
		now := device.all()
		if !slices.Equal(now, heard) || !slices.Equal(now, onRecord()) {
			t.Fatalf("%s, by hand %v: the console heard %d, then %d; on record are %d", to, byHand, len(heard), len(now), len(onRecord()))
		}
		// letting go of what is held may come after it, on record first; nothing is pressed
		if more := now[frozen:]; slices.ContainsFunc(more, func(s string) bool { return strings.HasSuffix(s, "true") }) {
			t.Fatalf("%s: the console heard %v after the freeze", to, more)
		}
		cause := engine.CauseInterlock
		if byHand {
			cause = "local"
		}
		if left, err := w.engine.Thaw(w.ticket.ID, cause, "Tom"); err != nil || len(left) > 0 {
			t.Fatalf("%v, %v", left, err)
		}
		goesOn()
	}
	close(stop)
	for _, v := range hands {
		_ = v.near.Close()
	}
	typing.Wait()
	w.until("all that stands on record was heard, and no more", func() bool { return device.count() == len(onRecord()) })
	if !slices.Equal(device.all(), onRecord()) {
		t.Error("the console heard something else than what stands on record")
	}
	t.Logf("ATTACK | two people type and click at a real VNC console while the scanner's state forbids it (%s), %d steps, %d attempts to lift it | 0 keys or clicks heard by its X server | 0 in %d freezes, %d heard beside | holds", class, steps, lifted, forbidden, len(device.all()))
}

// worksOn types letters from one on and clicks, as fast as a hand can.
func (v *window) worksOn(from uint32, stop <-chan struct{}) {
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for i := uint32(0); ; i++ {
		select {
		case <-stop:
			return
		case <-pace.C:
		}
		at := image.Pt(20+int(from+i)%40, 20)
		err := v.Press(screen.Key{Sym: from + i%13, Down: true})
		for _, do := range []func() error{
			func() error { return v.Press(screen.Key{Sym: from + i%13}) },
			func() error { return v.Point(screen.Pointer{At: at, Buttons: 1}) },
			func() error { return v.Point(screen.Pointer{At: at}) },
		} {
			if err == nil {
				err = do()
			}
		}
		if err != nil && err != io.EOF {
			return
		}
	}
}
