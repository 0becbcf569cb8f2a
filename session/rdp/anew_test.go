package rdp

import (
	"image"
	"os"
	"os/exec"
	"testing"

	"github.com/sallyport/sallyport/session/screen"
)

// A real console whose screen becomes another one begins anew in the middle of work: what it
// shows then is shown, and what is typed then arrives.
func TestXrdpBeginsAnew(t *testing.T) {
	x := startXrdp(t, "640x480")
	x.run("xsetroot", "-solid", "#204060")
	shown := newSeen()
	c, err := connect(t, x.at, shown, Config{Login: Login{User: "na", Password: "na"}, TLS: TLS{Pin: &x.pin}, Size: image.Pt(640, 480)})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Run() }()
	x.shown(shown, 32)
	for _, mode := range []string{"800x600", "1024x768", "640x480"} {
		x.run("xrandr", "-s", mode)
		x.run("xsetroot", "-solid", "#806040")
		x.start("xlogo", "-geometry", "200x100+10+10")
		x.shown(shown, 32)
	}
	x.typed(t, c, "keysym 0x61, a", screen.Key{Sym: 'a', Code: 0x1e})
	c.Close()
	<-ended
	if c.starts < 4 {
		t.Errorf("it began %d times", c.starts)
	}
}

// typed presses a key until xev hears it.
func (x *xrdp) typed(t *testing.T, c *Client, want string, k screen.Key) {
	t.Helper()
	heard := &lines{}
	xev := exec.Command("stdbuf", "-oL", "xev", "-geometry", "600x400+0+0", "-event", "keyboard")
	xev.Env = append(os.Environ(), "DISPLAY="+x.name)
	xev.Stdout = heard
	if err := xev.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = xev.Process.Kill(); _ = xev.Wait() })
	hears(t, heard, want, func() {
		_ = c.Point(screen.Pointer{At: image.Pt(300, 200)})
		k.Down = true
		_ = c.Press(k)
		k.Down = false
		_ = c.Press(k)
	})
}

// The place of a key travels, and the layout that the configuration names makes its letter: Y
// and Z change places on a German keyboard, and a dead key is one.
func TestLayoutAtXorg(t *testing.T) {
	for name, c := range map[string]struct {
		layout uint32
		code   uint32
		want   string
	}{
		"us":             {0x409, 0x15, "keysym 0x79, y"},
		"de":             {0x407, 0x15, "keysym 0x7a, z"},
		"de, a dead key": {0x407, 0x0d, "dead_acute"},
		"fr":             {0x40c, 0x10, "keysym 0x61, a"},
	} {
		t.Run(name, func(t *testing.T) {
			x := startXorg(t, false)
			cl, err := connect(t, x.at, newSeen(), Config{Login: Login{User: "na", Password: "na"}, TLS: TLS{Pin: &x.pin}, Size: image.Pt(640, 480), Keyboard: c.layout})
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cl.Run() }()
			x.typed(t, cl, c.want, screen.Key{Code: c.code})
			cl.Close()
			<-ended
		})
	}
}
