package screens

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/sallyport/sallyport/cmd/internal/world"
)

// hospital is a demonstration of the real binary with one console.
type hospital struct {
	t       *testing.T
	program string
	ready   world.Ready
}

// raise starts it, with the console at a port of this machine.
func raise(t *testing.T, port int) *hospital {
	t.Helper()
	dir := t.TempDir()
	h := &hospital{t: t, program: filepath.Join(dir, "sallyport")}
	if out, err := exec.Command("go", "build", "-o", h.program, "../../sallyport").CombinedOutput(); err != nil {
		t.Fatalf("build the binary: %v\n%s", err, out)
	}
	assets, ready := filepath.Join(dir, "assets.yaml"), filepath.Join(dir, "ready.json")
	must(t, os.WriteFile(assets, fmt.Appendf(nil, `assets:
- name: NGH-PETCT1
  policy: {approvals: 1, accept: {engineer: [cli, web], approver: [console, web]}, longest: 8h, channels: [control]}
  endpoints: [{name: console, address: 127.0.0.1, services: [{name: console-vnc, protocol: vnc, port: %d, class: non-disruptive}]}]
`, port), 0o600))
	h.keep("demo", "--state", filepath.Join(dir, "state"), "--ready", ready, "--web", "127.0.0.1:0", "--ssh", "127.0.0.1:0", "--agent-config", assets)
	until(t, "the demonstration is ready", func() bool {
		raw, err := os.ReadFile(ready)
		return err == nil && json.Unmarshal(raw, &h.ready) == nil
	})
	return h
}

// keep runs the program until the test ends, and returns what it says.
func (h *hospital) keep(args ...string) *bufio.Reader {
	h.t.Helper()
	c := exec.Command(h.program, args...)
	c.Env = h.as("engineer")
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := c.StdoutPipe()
	must(h.t, err)
	must(h.t, c.Start())
	h.t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		_ = c.Wait()
	})
	return bufio.NewReader(out)
}

func (h *hospital) as(persona string) []string {
	return append(os.Environ(), "BROWSER=curl -sSLo /dev/null", "SALLYPORT_HOME="+h.ready.Personas[persona].Home)
}

func (h *hospital) run(persona string, args ...string) []byte {
	h.t.Helper()
	c := exec.Command(h.program, args...)
	c.Env = h.as(persona)
	var said bytes.Buffer
	c.Stderr = &said
	out, err := c.Output()
	if err != nil {
		h.t.Fatalf("%v: %v\n%s", args, err, said.String())
	}
	return out
}

// freeDisplay is a display for an X server alone: two that look for one at the same time
// take each other's.
func freeDisplay(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf(":%d", 1000+freePort(t)%20000)
}

// freePort is one where nobody listens.
func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// A real console (TigerVNC's server) in a real viewer (TigerVNC's), with everything of ours
// between them: what the viewer's display shows is what the console's does, pixel by pixel.
func TestANativeViewerThroughConnect(t *testing.T) {
	port := freePort(t)
	device := &desk{t: t, home: t.TempDir()}
	r, w, err := os.Pipe()
	must(t, err)
	device.begin("Xvnc", []*os.File{w}, freeDisplay(t), "-displayfd", "3", "-geometry", "640x480", "-depth", "24", "-rfbport", fmt.Sprint(port), "-localhost", "-SecurityTypes", "None", "-nolisten", "tcp")
	w.Close()
	var number int
	if _, err := fmt.Fscan(r, &number); err != nil {
		t.Fatalf("Xvnc says no display: %v", err)
	}
	device.display = fmt.Sprintf(":%d", number)
	device.begin("xlogo", nil, "-geometry", "300x200+40+40")

	h := raise(t, port)
	h.run("engineer", "login", "--hint", "j.brandt@meridian.example")
	var asked struct{ ID string }
	must(t, json.Unmarshal(h.run("engineer", "request", "new", "NGH-PETCT1/console-vnc", "--reason", "Look at the console", "--work-order", "WO-1", "--for", "30m", "-o", "json"), &asked))
	h.run("approver", "login", "--hint", "m.okafor@northfield.example")
	h.run("approver", "approve", asked.ID, "--yes")
	line, err := h.keep("connect", "NGH-PETCT1/console-vnc", "-o", "json").ReadBytes('\n')
	must(t, err)
	var door struct{ Listen, Password string }
	must(t, json.Unmarshal(line, &door))

	d := startDesk(t, "800x600")
	d.viewer(door.Listen, door.Password)
	for _, colour := range []string{"#204060", "#406020"} {
		paint := exec.Command("xsetroot", "-display", device.display, "-solid", colour)
		must(t, paint.Run())
		until(t, "the viewer shows the console in "+colour, func() bool {
			size, pix := device.picture()
			on, all := d.picture()
			return holds(on, all, size, pix)
		})
	}
}
