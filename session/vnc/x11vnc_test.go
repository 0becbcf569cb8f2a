package vnc

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session/screen"
)

// startX11vnc starts the other kind of console there is: one that somebody sits at, and that
// a second program looks at from outside.
func startX11vnc(t *testing.T, args ...string) *xvnc {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	start := func(name string, more []*os.File, args ...string) {
		t.Helper()
		c := exec.Command(name, args...)
		c.ExtraFiles = more
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	}
	start("Xvfb", []*os.File{w}, freeDisplay(t), "-displayfd", "3", "-screen", "0", "640x480x24", "-noreset", "-nolisten", "tcp")
	w.Close()
	var number int
	if _, err := fmt.Fscan(r, &number); err != nil {
		t.Fatalf("Xvfb says no display: %v", err)
	}
	x := &xvnc{t, fmt.Sprintf(":%d", number), freePort(t)}
	start("x11vnc", nil, append([]string{"-display", x.display, "-rfbport", fmt.Sprint(x.port), "-localhost", "-forever", "-shared", "-quiet", "-noxdamage", "-noipv6", "-nosel"}, args...)...)
	return x
}

// x11vnc is a server of another family (LibVNCServer): what it shows is what is shown, with a
// password and without.
func TestAsX11vncShowsIt(t *testing.T) {
	for name, login := range map[string]Login{"no password": {}, "a password": {Password: "s3cret!"}} {
		t.Run(name, func(t *testing.T) {
			var args []string
			if login.Password != "" {
				args = []string{"-passwd", login.Password}
			}
			x := startX11vnc(t, args...)
			shown := &seen{news: make(chan struct{}, 1)}
			c, err := x.patiently(screen.New(screen.Masks{}, shown), Config{Login: login})
			if err != nil {
				t.Fatal(err)
			}
			go func() { _ = c.Run() }()
			x.run("xsetroot", "-solid", "#402060")
			x.start("xlogo", "-geometry", "300x200+10+10")
			x.stands(shown)
			x.run("xsetroot", "-solid", "#204060")
			x.stands(shown)
			if login.Password == "" {
				return
			}
			if _, err := x.connect(screen.New(screen.Masks{}, keeper(forget)), Config{Login: Login{Password: "guess"}}); err == nil {
				t.Error("a guess is let in")
			}
		})
	}
}

// patiently connects as soon as somebody listens.
func (x *xvnc) patiently(s *screen.Screen, cfg Config) (c *Client, err error) {
	listening(x.t, x.port)
	if c, err = x.connect(s, cfg); err != nil {
		return nil, errors.Join(err, fmt.Errorf("at port %d", x.port))
	}
	return c, nil
}

// listening waits until somebody does.
func listening(t *testing.T, port int) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}
