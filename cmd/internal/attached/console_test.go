package attached

import (
	"bytes"
	"fmt"
	"image"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/cmd/internal/simulator"
	"github.com/sallyport/sallyport/cmd/internal/simulator/simulatortest"
	"github.com/sallyport/sallyport/recordings/frames"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/screen"
)

// console is a simulated scanner's console, as an agent's device.
type console struct{ *simulatortest.Console }

// startConsole starts one whose time stands still.
func startConsole(t *testing.T, cfg simulator.ConsoleConfig) *console {
	t.Helper()
	return &console{simulatortest.Start(t, cfg, simulatortest.Noon)}
}

// assets writes an --agent-config with a console of each port, on scanners of their own.
func assets(t *testing.T, masks string, ports map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("assets:\n")
	for name, login := range ports {
		fmt.Fprintf(&b, "- name: %s\n  policy: {approvals: 1, accept: {engineer: [cli, web], approver: [console, web]}, longest: 8h, channels: [control, clipboard-in, clipboard-out]}\n", name)
		fmt.Fprintf(&b, "  endpoints: [{name: console, address: 127.0.0.1, services: [{name: console-vnc, protocol: vnc, class: non-disruptive, %s}]}]\n", login)
		if name == scanner {
			b.WriteString(masks)
		}
	}
	file := filepath.Join(t.TempDir(), "assets.yaml")
	must(t, os.WriteFile(file, b.Bytes(), 0o600))
	return file
}

// did waits until the console has seen so much done to it.
func (c *console) did(t *testing.T, what string, n int) {
	t.Helper()
	until(t, what, func() error {
		if got := c.count(what); got != n {
			return fmt.Errorf("%d times: %v", got, c.Scanner.Seen())
		}
		return nil
	})
}

func (c *console) count(what string) (n int) {
	for _, s := range c.Scanner.Seen() {
		if strings.HasPrefix(s, what) {
			n++
		}
	}
	return n
}

// same waits until a window shows what the console does, with some of it hidden.
func (c *console) same(w *window, boxes []image.Rectangle) []uint32 {
	w.t.Helper()
	var want []uint32
	w.until("shows what the console does", func() bool {
		size, pix, err := c.Picture()
		want = painted(size, pix, boxes)
		return err == nil && w.size == size && slices.Equal(w.pix, want)
	})
	return want
}

const (
	keyA     = 'a'
	keyShift = 0xffe1
	late     = 300 * time.Millisecond // first whole picture of who joins late
)

// An engineer works on a scanner's console, in two windows: seen exactly, hidden where the
// hospital says so, frozen with a key held, thawed, and killed; and the recording shows what
// was seen and what was done, and no name.
func TestAConsoleFromEndToEnd(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "console")
	must(t, os.WriteFile(secret, []byte("c0nsole!"), 0o600))
	c := startConsole(t, simulator.ConsoleConfig{Password: "c0nsole!"})
	boxes := simulator.NameBoxes()
	masks := "  unknown_screen: hide\n  masks: [{screen: 1280x1024, boxes: [[8, 64, 1264, 56], [8, 128, 296, 400]]}]\n"
	ready := demo(t, "--agent-config", assets(t, masks, map[string]string{scanner: fmt.Sprintf("port: %s, login: {password: \"file:%s\"}", c.Port(), secret)}))
	engineer, approver, auditor := signIn(t, ready.Web, "engineer"), signIn(t, ready.Web, "approver"), signIn(t, ready.Web, "auditor")
	key, id := agreedOn(engineer, approver, scanner, "console-vnc", session.ClipboardIn, session.Control)

	first := engineer.look(key, id, scanner, "console-vnc")
	shown := [][]uint32{c.same(first, boxes)}
	if n := first.told(attach.NoticeMasked); n.Masked != attach.MaskedSome {
		t.Errorf("%+v", n)
	}
	first.types(keyA, 0xfc, 0xdf) // a, ü, ß
	c.did(t, "console key 0xdf 0x0 false", 1)
	must(t, first.Paste("für später"))
	c.did(t, `console text "für später"`, 1)
	shown = append(shown, c.same(first, boxes))

	second := engineer.look(key, id, scanner, "console-vnc")
	c.same(second, boxes)
	t.Logf("the first picture came after %v, that of who joined late after %v (at most %v)", first.first, second.first, late)

	// Frozen with a key and a button down: they are let go of, and no more comes.
	must(t, first.Press(screen.Key{Sym: keyShift, Down: true}))
	must(t, second.Point(screen.Pointer{At: image.Pt(600, 1000), Buttons: 1}))
	c.did(t, "console key 0xffe1 0x0 true", 1)
	c.did(t, "console pointer 600 1000 0x1", 1)
	approver.sees(id)
	approver.call(http.MethodPost, "/api/v1/sessions/"+id+"/freeze", struct{}{}, nil)
	first.told(attach.NoticeFrozen)
	second.told(attach.NoticeFrozen)
	c.did(t, "console key 0xffe1 0x0 false", 1)
	c.did(t, "console pointer 600 1000 0x0", 1)
	before := len(c.Scanner.Seen())
	first.types('x', 'y')
	must(t, second.Point(screen.Pointer{At: image.Pt(700, 700), Buttons: 1}))
	must(t, second.Paste("not this"))
	c.same(first, boxes)
	approver.call(http.MethodPost, "/api/v1/sessions/"+id+"/thaw", struct{}{}, nil)
	first.told(attach.NoticeThawed)
	second.told(attach.NoticeThawed)
	second.types('z')
	c.did(t, "console key 0x7a 0x0 false", 1)
	if after := c.Scanner.Seen(); len(after) != before+2 {
		t.Errorf("while frozen the console saw %v", after[before:len(after)-2])
	}
	shown = append(shown, c.same(first, boxes), c.same(second, boxes))

	start := time.Now()
	approver.call(http.MethodPost, "/api/v1/sessions/"+id+"/kill", struct{}{}, nil)
	if n := first.told(attach.NoticeEnded); n.Reason != session.KilledRemote || n.Text == "" {
		t.Errorf("after %v: %+v", time.Since(start), n)
	}
	c.did(t, "console closed", 1)

	tp := sealed(t, ready, auditor, first.welcome.Recording)
	tp.holds(t, shown, boxes)
	held := slices.IndexFunc(tp.input, func(in frames.Input) bool { return in.Kind == frames.Key && in.Sym == keyShift && in.Down })
	if held < 0 || !slices.ContainsFunc(tp.input[held:], func(in frames.Input) bool { return in.Sym == keyShift && !in.Down }) {
		t.Errorf("the key that was held is not let go of in %+v", tp.input)
	}
	if n := len(tp.input); n != before-1+2 { // all that the console saw beside its opening
		t.Errorf("%d inputs on record, %d at the console: %+v", n, before+1, tp.input)
	}
}

// holds checks that each picture that was seen is in the recording, in that order, and that
// nothing in it shows what is hidden.
func (tp *tape) holds(t *testing.T, shown [][]uint32, boxes []image.Rectangle) {
	t.Helper()
	found := 0
	tp.pictures(t, func(s *frames.Screen) {
		for found < len(shown) && slices.Equal(s.Pix, shown[found]) {
			found++
		}
		for _, b := range boxes {
			for y := b.Min.Y; y < b.Max.Y; y++ {
				for _, p := range s.Pix[y*s.Size.X+b.Min.X : y*s.Size.X+b.Max.X] {
					if p != maskColour && p != 0 { // black: what nobody has drawn yet
						t.Fatalf("the recording shows %06x where it is hidden", p)
					}
				}
			}
		}
	})
	if found < len(shown) {
		t.Errorf("of %d pictures that were seen, the recording has %d", len(shown), found)
	}
}
