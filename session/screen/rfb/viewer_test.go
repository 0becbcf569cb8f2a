package rfb_test

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"encoding/binary"

	"github.com/sallyport/sallyport/session/screen"
	"github.com/sallyport/sallyport/session/screen/rfb"
)

type forget struct{}

func (forget) Keep(screen.Change) error { return nil }

// desk is an X display on which a viewer is shown.
type desk struct {
	t       *testing.T
	display string
}

// freeDisplay is a display for an X server alone: two that look for one at the same time
// take each other's.
func freeDisplay(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprintf(":%d", 1000+l.Addr().(*net.TCPAddr).Port%20000)
}

func startDesk(t *testing.T) *desk {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("Xvfb", freeDisplay(t), "-displayfd", "3", "-screen", "0", "960x720x24", "-noreset", "-nolisten", "tcp")
	c.ExtraFiles = []*os.File{w}
	var said bytes.Buffer
	c.Stderr = &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	var number int
	if _, err := fmt.Fscan(r, &number); err != nil {
		t.Fatalf("Xvfb says no display: %v: %s", err, said.String())
	}
	return &desk{t, fmt.Sprintf(":%d", number)}
}

func (d *desk) start(name string, args ...string) *bytes.Buffer {
	d.t.Helper()
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), "DISPLAY="+d.display, "HOME="+d.t.TempDir())
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	return &said
}

// picture is what the desk shows (X11/XWDFile.h).
func (d *desk) picture() (size image.Point, pix []uint32) {
	c := exec.Command("xwd", "-root", "-silent", "-display", d.display)
	b, err := c.Output()
	if err != nil {
		d.t.Fatal(err)
	}
	word := func(n int) int { return int(binary.BigEndian.Uint32(b[4*n:])) }
	size, line := image.Pt(word(4), word(5)), word(12)
	data := b[word(0)+12*word(19):]
	pix = make([]uint32, 0, size.X*size.Y)
	for y := range size.Y {
		for i := range size.X {
			pix = append(pix, binary.LittleEndian.Uint32(data[y*line+4*i:])&0xffffff)
		}
	}
	return size, pix
}

// shows waits until a picture is somewhere on the desk, whole.
func (d *desk) shows(size image.Point, pix []uint32, said *bytes.Buffer) {
	d.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if on, all := d.picture(); holds(on, all, size, pix) {
			return
		}
	}
	d.t.Fatalf("the viewer never shows it: %s", said.String())
}

func holds(on image.Point, all []uint32, size image.Point, pix []uint32) bool {
	for y := 0; y+size.Y <= on.Y; y++ {
		for x := 0; x+size.X <= on.X; x++ {
			if same(on, all, image.Pt(x, y), size, pix) {
				return true
			}
		}
	}
	return false
}

func same(on image.Point, all []uint32, at, size image.Point, pix []uint32) bool {
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

// What is asserted is the picture that a person sees: TigerVNC's viewer, on a display, in
// each encoding, of pictures that go out in pieces and of drawings, over moves and another size.
func TestTigerVNCsViewerShowsIt(t *testing.T) {
	for _, encoding := range []string{"Tight", "ZRLE", "Raw"} {
		t.Run(encoding, func(t *testing.T) {
			s := screen.New(screen.Masks{}, forget{})
			model := make([]uint32, 800*600)
			for i := range model {
				model[i] = uint32(i*2654435761) & 0xffffff
			}
			if err := errors.Join(s.Resize(800, 600), show(s, image.Rect(0, 0, 800, 600), model)); err != nil {
				t.Fatal(err)
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					go func() { _ = rfb.Serve(t.Context(), c, s, nil, rfb.Config{Name: "NGH-PETCT1", Password: "s3cret!"}) }()
				}
			}()
			passwd := t.TempDir() + "/passwd"
			c := exec.Command("vncpasswd", "-f")
			c.Stdin = bytes.NewReader([]byte("s3cret!\n"))
			out, err := c.Output()
			if err = errors.Join(err, os.WriteFile(passwd, out, 0o600)); err != nil {
				t.Fatal(err)
			}
			d := startDesk(t)
			said := d.start("xtigervncviewer", "-passwd", passwd, "-AutoSelect=0", "-PreferredEncoding="+encoding, "-FullColor=1", "-NoJPEG=1", "-RemoteResize=0",
				fmt.Sprintf("127.0.0.1::%d", l.Addr().(*net.TCPAddr).Port))
			d.shows(image.Pt(800, 600), model, said)
			for i := range 800 * 60 {
				model[i] = uint32(i/800/7) * 0x102030
			}
			s.Draw(image.Rect(0, 0, 800, 60), model, 800)
			s.Copy(image.Rect(0, 120, 800, 180), image.Pt(0, 0))
			copy(model[120*800:180*800], model[:60*800])
			if err := s.Show(); err != nil {
				t.Fatal(err)
			}
			d.shows(image.Pt(800, 600), model, said)
			small := make([]uint32, 200*100)
			for i := range small {
				small[i] = uint32(i % 251)
			}
			if err := errors.Join(s.Resize(200, 100), show(s, image.Rect(0, 0, 200, 100), small)); err != nil {
				t.Fatal(err)
			}
			d.shows(image.Pt(200, 100), small, said)
		})
	}
}

func show(s *screen.Screen, r image.Rectangle, pix []uint32) error {
	s.Draw(r, pix, r.Dx())
	return s.Show()
}
