package screens

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
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
	dir     string // of its state, with that of the broker, the agent and every persona
	program string
	ready   world.Ready
}

// raise starts it, with a console that is this service and may be used in these ways.
func raise(t *testing.T, service, channels string) *hospital {
	t.Helper()
	return raiseMasked(t, service, channels, "")
}

// raiseMasked is raise, with rules of what is hidden.
func raiseMasked(t *testing.T, service, channels, masks string) *hospital {
	t.Helper()
	dir := t.TempDir()
	h := &hospital{t: t, dir: filepath.Join(dir, "state"), program: filepath.Join(dir, "sallyport")}
	if out, err := exec.Command("go", "build", "-o", h.program, "../../sallyport").CombinedOutput(); err != nil {
		t.Fatalf("build the binary: %v\n%s", err, out)
	}
	assets, ready := filepath.Join(dir, "assets.yaml"), filepath.Join(dir, "ready.json")
	must(t, os.WriteFile(assets, fmt.Appendf(nil, `assets:
- name: NGH-PETCT1
  policy: {approvals: 1, accept: {engineer: [cli, web], approver: [console, web]}, longest: 8h, channels: [%s]}
  masks: [%s]
  endpoints: [{name: console, address: 127.0.0.1, services: [%s]}]
`, channels, masks, service), 0o600))
	h.keep("engineer", "demo", "--state", h.dir, "--ready", ready, "--web", "127.0.0.1:0", "--ssh", "127.0.0.1:0", "--agent-config", assets)
	until(t, "the demonstration is ready", func() bool {
		raw, err := os.ReadFile(ready)
		return err == nil && json.Unmarshal(raw, &h.ready) == nil
	})
	return h
}

// keep runs the program until the test ends, and returns what it says.
func (h *hospital) keep(persona string, args ...string) *bufio.Reader {
	h.t.Helper()
	c := exec.Command(h.program, args...)
	c.Env = h.as(persona)
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

// granted asks for a service, and approves.
func (h *hospital) granted(service string, more ...string) (request string) {
	h.t.Helper()
	h.run("engineer", "login", "--hint", "j.brandt@meridian.example")
	var asked struct{ ID string }
	args := []string{"request", "new", "NGH-PETCT1/" + service, "--reason", "Look at the console", "--work-order", "WO-1", "--for", "30m", "-o", "json"}
	must(h.t, json.Unmarshal(h.run("engineer", append(args, more...)...), &asked))
	h.run("approver", "login", "--hint", "m.okafor@northfield.example")
	h.run("approver", "approve", asked.ID, "--yes")
	return asked.ID
}

// door is where a command serves a console.
type door struct{ Listen, Password string }

func (h *hospital) door(persona string, args ...string) (d door) {
	h.t.Helper()
	line, err := h.keep(persona, args...).ReadBytes('\n')
	must(h.t, err)
	must(h.t, json.Unmarshal(line, &d))
	return d
}

// startXvnc is TigerVNC's server with something on it, and its port.
func startXvnc(t *testing.T) (device *desk, port int) {
	t.Helper()
	device, port = startXvncOf(t, "640x480")
	device.begin("xlogo", nil, "-geometry", "300x200+40+40")
	return device, port
}

func startXvncOf(t *testing.T, size string) (device *desk, port int) {
	t.Helper()
	return startXvncAs(t, size, "-SecurityTypes", "None")
}

func startXvncAs(t *testing.T, size string, security ...string) (device *desk, port int) {
	t.Helper()
	port = freePort(t)
	device = &desk{t: t, home: t.TempDir()}
	r, w, err := os.Pipe()
	must(t, err)
	device.begin("Xvnc", []*os.File{w}, append(security, freeDisplay(t), "-displayfd", "3", "-geometry", size, "-depth", "24", "-rfbport", fmt.Sprint(port), "-localhost", "-noreset", "-nolisten", "tcp")...)
	w.Close()
	var number int
	if _, err := fmt.Fscan(r, &number); err != nil {
		t.Fatalf("Xvnc says no display: %v", err)
	}
	device.display = fmt.Sprintf(":%d", number)
	return device, port
}

// freeDisplay is a display for an X server alone: two that look for one at the same time
// take each other's.
func freeDisplay(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf(":%d", 1000+freePort(t)%20000)
}

// freePort is one where nobody listens.
func freePort(t *testing.T) int {
	t.Helper()
	addr, err := world.FreeAddress()
	must(t, err)
	return int(netip.MustParseAddrPort(addr).Port())
}

// A real console (TigerVNC's server) in a real viewer (TigerVNC's), with everything of ours
// between them: what the viewer's display shows is what the console's does, pixel by pixel.
func TestANativeViewerThroughConnect(t *testing.T) {
	device, port := startXvnc(t)
	h := raise(t, fmt.Sprintf("{name: console-vnc, protocol: vnc, port: %d, class: non-disruptive}", port), "control")
	h.granted("console-vnc")
	door := h.door("engineer", "connect", "NGH-PETCT1/console-vnc", "-o", "json")

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
