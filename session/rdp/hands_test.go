package rdp

import (
	"bytes"
	"fmt"
	"image"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session/screen"
)

// lines is what a program says, as far as it said it.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// hears waits until a program said something after the rest was done again and again.
func hears(t *testing.T, l *lines, what string, do func()) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !strings.Contains(l.String(), what) {
		if time.Now().After(deadline) {
			t.Fatalf("never hears %s: %.2000s", what, l.String())
		}
		do()
		time.Sleep(50 * time.Millisecond) // between two tries
	}
}

// Keys, pointer and wheel arrive at a real console, and texts go both ways.
func TestHandsAtXrdp(t *testing.T) { handsAt(t, startXrdp(t, "640x480")) }

func handsAt(t *testing.T, x *xrdp) {
	heard := &lines{}
	c := exec.Command("stdbuf", "-oL", "xev", "-geometry", "600x400+0+0", "-event", "keyboard", "-event", "button")
	c.Env = append(os.Environ(), "DISPLAY="+x.name)
	c.Stdout = heard
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	copied := make(chan string, 100)
	shown := newSeen()
	cl, err := connect(t, x.at, shown, Config{Login: Login{User: "na", Password: "na"}, TLS: TLS{Pin: &x.pin}, Size: image.Pt(640, 480), Pastes: true, Copied: func(s string) { copied <- s }})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = cl.Run() }()
	press := func(sym, code uint32) func() {
		return func() {
			_ = cl.Point(screen.Pointer{At: image.Pt(300, 200)})
			_ = cl.Press(screen.Key{Sym: sym, Code: code, Down: true})
			_ = cl.Press(screen.Key{Sym: sym, Code: code})
		}
	}
	hears(t, heard, "keysym 0x61, a", press('a', 0x1e))
	hears(t, heard, "keysym 0xff53, Right", press(0xff53, 0xcd))
	hears(t, heard, "keysym 0xff0d, Return", press(0xff0d, 0))
	for button, bit := range map[int]uint16{1: 1, 2: 2, 3: 4, 4: 8, 5: 16} {
		hears(t, heard, fmt.Sprintf("button %d,", button), func() {
			_ = cl.Point(screen.Pointer{At: image.Pt(301, 200), Buttons: bit})
			_ = cl.Point(screen.Pointer{At: image.Pt(301, 200)})
		})
	}

	// what somebody copies at the console, and what they paste there
	clip := exec.Command("xclip", "-selection", "clipboard", "-quiet")
	clip.Env, clip.Stdin = c.Env, strings.NewReader("from the console")
	if err := clip.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = clip.Process.Kill(); _ = clip.Wait() })
	select {
	case got := <-copied:
		if got != "from the console" {
			t.Errorf("copied %q", got)
		}
	case <-time.After(time.Minute):
		t.Fatal("nothing is copied")
	}
	deadline := time.Now().Add(time.Minute)
	for {
		if err := cl.Paste("from\nthe engineer"); err != nil {
			t.Fatal(err)
		}
		out := exec.Command("xclip", "-selection", "clipboard", "-o")
		out.Env = c.Env
		got, err := out.Output()
		if strings.ReplaceAll(string(got), "\r\n", "\n") == "from\nthe engineer" { // xrdp's channel server keeps Windows' ends of lines
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("pasted %q, %v", got, err)
		}
		time.Sleep(50 * time.Millisecond) // until the console has it
	}
}
