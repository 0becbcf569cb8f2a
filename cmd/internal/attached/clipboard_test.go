package attached

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/recordings/frames"
	"github.com/sallyport/sallyport/session"
)

// desk is a real X server that is a console too, and its clipboard.
type desk struct {
	t             *testing.T
	port, display string
}

func startDesk(t *testing.T) *desk {
	t.Helper()
	free := func() int {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		defer l.Close()
		return l.Addr().(*net.TCPAddr).Port
	}
	port := fmt.Sprint(free())
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	// A display of its own: two servers that look for one at the same time take each other's.
	c := exec.Command("Xvnc", fmt.Sprintf(":%d", 1000+free()%20000), "-displayfd", "3", "-geometry", "320x240", "-depth", "24", "-rfbport", port, "-localhost", "-SecurityTypes", "None", "-noreset", "-nolisten", "tcp")
	c.Env, c.ExtraFiles = append(os.Environ(), "HOME="+t.TempDir()), []*os.File{w}
	must(t, c.Start())
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	w.Close()
	var number int
	if _, err := fmt.Fscan(r, &number); err != nil {
		t.Fatalf("Xvnc says no display: %v", err)
	}
	return &desk{t, port, fmt.Sprintf(":%d", number)}
}

// copies puts a text on the desk's clipboard, as a program there does. What holds it ends
// with the display.
func (d *desk) copies(text string) {
	d.t.Helper()
	c := exec.Command("xclip", "-display", d.display, "-selection", "clipboard", "-in")
	c.Stdin = strings.NewReader(text)
	must(d.t, c.Run())
}

// pastes waits until a program at the desk would paste this.
func (d *desk) pastes(text string) {
	d.t.Helper()
	until(d.t, "a program at the desk pastes it", func() error {
		var said bytes.Buffer
		c := exec.Command("xclip", "-display", d.display, "-selection", "clipboard", "-out", "-target", "UTF8_STRING")
		c.Stderr = &said
		got, err := c.Output()
		if err == nil && string(got) != text {
			err = fmt.Errorf("%q", got)
		}
		if err != nil {
			return fmt.Errorf("%w %s", err, said.String())
		}
		return nil
	})
}

// Texts are copied between a viewer and a program at a real X server, both ways through
// agent and broker, in whatever script; and all of them are on record.
func TestTheClipboardOfARealDesk(t *testing.T) {
	d := startDesk(t)
	ready := demo(t, "--agent-config", assets(t, "", map[string]string{scanner: "port: " + d.port}))
	engineer, approver, auditor := signIn(t, ready.Web, "engineer"), signIn(t, ready.Web, "approver"), signIn(t, ready.Web, "auditor")
	key, id := agreedOn(engineer, approver, scanner, "console-vnc", session.ClipboardIn, session.ClipboardOut, session.Control)
	w := engineer.look(key, id, scanner, "console-vnc")
	texts := []string{"plain", "Grüße aus Köln", "測定 ✓ Δt = 3 µs\nzweite Zeile 🩻"}
	for _, text := range texts {
		d.copies("out: " + text)
		w.until("was told what was copied", func() bool { return slices.Contains(w.copied, "out: "+text) })
		must(t, w.Paste("in: "+text))
		d.pastes("in: " + text)
	}
	approver.sees(id)
	approver.call("POST", "/api/v1/sessions/"+id+"/kill", struct{}{}, nil)
	tp := sealed(t, ready, auditor, w.welcome.Recording)
	var in, out []string
	for _, x := range tp.input {
		if x.Kind == frames.Text {
			in = append(in, x.Text)
		}
	}
	for _, e := range tp.events {
		if e.Kind != session.Output {
			continue
		}
		x, err := frames.ParseInput(e.Data)
		must(t, err)
		out = append(out, x.Text)
	}
	for _, text := range texts {
		if !slices.Contains(in, "in: "+text) || !slices.Contains(out, "out: "+text) {
			t.Errorf("%q is not on record: %q, %q", text, in, out)
		}
	}
}
