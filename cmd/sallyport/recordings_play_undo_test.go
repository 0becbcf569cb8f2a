package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/cmd/internal/display"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
)

// pseudoTerminal is a person's terminal: what is written to far comes out of near.
func pseudoTerminal(t *testing.T) (near, far *os.File) {
	t.Helper()
	near, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	if err := unix.IoctlSetPointerInt(int(near.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(near.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	far, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return near, far
}

// What play does to a person's terminal it undoes, however it ends.
func TestPlayUndoesWhatItDid(t *testing.T) {
	s := newStudio(t, recordings.Options{})
	s.clock.Add(-2) // no pause before anything is shown
	s.record(session.ChannelOpened, 1, `{"type":"shell","term":"xterm","cols":80,"rows":24}`)
	s.record(session.Output, 1, "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[?6h\x1b[?5h\x1b[4h\x1b[20h\x1b[2;5r\x1b)0\x0eseen here")
	s.record(session.Output, 1, "and later")
	if err := s.w.Close(session.Completed); err != nil {
		t.Fatal(err)
	}
	undone := strings.ReplaceAll(display.Undo, "\n", "\r\n")
	for name, end := range map[string]os.Signal{"at its end": nil, "with Ctrl-C": os.Interrupt, "when it is told to end": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			near, far := pseudoTerminal(t)
			speed := "1000"
			if end != nil {
				speed = "0.01" // a pause of minutes, in which the signal comes
			}
			play := exec.Command("sallyport", "recordings", "play", s.dir, "--speed", speed, "--idle", "1h")
			play.Stdin, play.Stdout, play.Stderr = far, far, io.Discard
			play.Env = append(os.Environ(), "HOME="+t.TempDir())
			if err := play.Start(); err != nil {
				t.Fatal(err)
			}
			far.Close()
			stuck := time.AfterFunc(time.Minute, func() { _ = play.Process.Kill() })
			defer stuck.Stop()
			var shown strings.Builder
			for buf := make([]byte, 4096); ; {
				n, err := near.Read(buf)
				before := strings.Contains(shown.String(), "seen here")
				shown.Write(buf[:n])
				if !before && end != nil && strings.Contains(shown.String(), "seen here") {
					if err := play.Process.Signal(end); err != nil {
						t.Fatal(err)
					}
				}
				if err != nil {
					if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.EIO) {
						t.Fatal(err)
					}
					break
				}
			}
			_ = play.Wait()
			text := shown.String()
			if !strings.Contains(text, "\x1b[?7l") || strings.Contains(text, "\x1b[20h") || strings.Contains(text, "and later") != (end == nil) || !strings.HasSuffix(text, undone) {
				t.Errorf("it showed %q", text)
			}
		})
	}
	t.Log("ATTACK | a device leaves a person's terminal in reverse, without wrap, with other keys (play, ended in any way) | 0 modes left | 0 | holds")
}
