package screens

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// patience bounds every wait; all is slow on two busy cores.
const patience = 2 * time.Minute

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// until tries something until it is so.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// desk is an X display, at which somebody sits.
type desk struct {
	t       *testing.T
	display string
	home    string
}

func startDesk(t *testing.T, size string) *desk {
	t.Helper()
	d := &desk{t: t, home: t.TempDir()}
	r, w, err := os.Pipe()
	must(t, err)
	d.begin("Xvfb", []*os.File{w}, freeDisplay(t), "-noreset", "-displayfd", "3", "-screen", "0", size+"x24", "-nolisten", "tcp")
	w.Close()
	var number int
	if _, err := fmt.Fscan(r, &number); err != nil {
		t.Fatalf("Xvfb says no display: %v", err)
	}
	d.display = fmt.Sprintf(":%d", number)
	return d
}

// begin starts a program that runs until the test ends.
func (d *desk) begin(name string, more []*os.File, args ...string) *bytes.Buffer {
	d.t.Helper()
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), "DISPLAY="+d.display, "HOME="+d.home)
	var said bytes.Buffer
	c.Stdout, c.Stderr, c.ExtraFiles = &said, &said, more
	must(d.t, c.Start())
	d.t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	return &said
}

// viewer is TigerVNC's, without a frame around what it shows.
func (d *desk) viewer(addr, password string, args ...string) {
	d.t.Helper()
	passwd := filepath.Join(d.home, "passwd")
	c := exec.Command("vncpasswd", "-f")
	c.Stdin = bytes.NewReader([]byte(password + "\n"))
	out, err := c.Output()
	must(d.t, err)
	must(d.t, os.WriteFile(passwd, out, 0o600))
	host, port, _ := bytes.Cut([]byte(addr), []byte(":"))
	d.begin("xtigervncviewer", nil, append(args, "-passwd", passwd, "-AutoSelect=0", "-FullColor=1", "-NoJPEG=1", "-RemoteResize=0", "-Shared=1",
		fmt.Sprintf("%s::%s", host, port))...)
}

// picture is what the display shows (X11/XWDFile.h).
func (d *desk) picture() (size image.Point, pix []uint32) {
	d.t.Helper()
	b, err := exec.Command("xwd", "-root", "-silent", "-display", d.display).Output()
	must(d.t, err)
	word := func(n int) int { return int(binary.BigEndian.Uint32(b[4*n:])) }
	size, line := image.Pt(word(4), word(5)), word(12)
	data := b[word(0)+12*word(19):]
	pix = make([]uint32, 0, size.X*size.Y)
	for y := range size.Y {
		for x := range size.X {
			pix = append(pix, binary.LittleEndian.Uint32(data[y*line+4*x:])&0xffffff)
		}
	}
	return size, pix
}

// holds reports whether a picture stands somewhere on another, whole.
func holds(on image.Point, all []uint32, size image.Point, pix []uint32) bool {
	for y := 0; y+size.Y <= on.Y; y++ {
		for x := 0; x+size.X <= on.X; x++ {
			if stands(on, all, image.Pt(x, y), size, pix) {
				return true
			}
		}
	}
	return false
}

func stands(on image.Point, all []uint32, at, size image.Point, pix []uint32) bool {
	for y := range size.Y {
		row := all[(at.Y+y)*on.X+at.X:]
		for x := range size.X {
			if row[x] != pix[y*size.X+x] {
				return false
			}
		}
	}
	return true
}
