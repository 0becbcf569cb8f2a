package screens

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/screen"
	"github.com/sallyport/sallyport/session/vnc"
)

// oldFront stands before a console that speaks RDP, and shows TLS as a Windows of 2009 has
// it: version 1.0, keys exchanged by RSA. What is said before TLS it passes on.
type oldFront struct {
	net.Listener
	console     int
	certificate atomic.Pointer[tls.Certificate]
}

func startOldFront(t *testing.T, console int) *oldFront {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	f := &oldFront{Listener: l, console: console}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			go f.serve(near)
		}
	}()
	return f
}

// shows takes another certificate, and returns its fingerprint.
func (f *oldFront) shows(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	pin := certificate(t, filepath.Join(dir, "cert"), filepath.Join(dir, "key"))
	c, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert"), filepath.Join(dir, "key"))
	must(t, err)
	f.certificate.Store(&c)
	return strings.TrimPrefix(pin, "sha256:")
}

func (f *oldFront) serve(near net.Conn) {
	defer near.Close()
	far, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", f.console))
	if err != nil {
		return
	}
	defer far.Close()
	if passTPKT(far, near) != nil || passTPKT(near, far) != nil {
		return
	}
	engineer := tls.Server(near, &tls.Config{Certificates: []tls.Certificate{*f.certificate.Load()}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10,
		CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}})
	console := tls.Client(far, &tls.Config{InsecureSkipVerify: true})
	if engineer.Handshake() != nil || console.Handshake() != nil {
		return
	}
	go func() { _, _ = io.Copy(console, engineer); _ = far.Close() }()
	_, _ = io.Copy(engineer, console)
}

// passTPKT passes one packet on: version, nothing, and its whole length.
func passTPKT(to io.Writer, from io.Reader) error {
	head := make([]byte, 4)
	if _, err := io.ReadFull(from, head); err != nil {
		return err
	}
	if _, err := to.Write(head); err != nil {
		return err
	}
	_, err := io.CopyN(to, from, int64(binary.BigEndian.Uint16(head[2:]))-4)
	return err
}

// shown is what the people's command tells of a session.
type shown struct {
	Certificates []session.Certificate
	NoDevice     *struct{ Message, Next string } `json:"no_device"`
}

func (h *hospital) session(id string) (s shown) {
	h.t.Helper()
	must(h.t, json.Unmarshal(h.run("approver", "sessions", "show", id, "-o", "json"), &s))
	return s
}

// grant is that of a request.
func (h *hospital) grant(request string) string {
	h.t.Helper()
	var asked struct{ Grant string }
	must(h.t, json.Unmarshal(h.run("approver", "request", "show", request, "-o", "json"), &asked))
	return asked.Grant
}

// fails connects to a console that cannot be opened, until the engineer reads why.
func (h *hospital) fails(service string, why ...string) {
	h.t.Helper()
	c := exec.Command(h.program, "connect", "NGH-PETCT1/"+service, "-o", "json")
	c.Env = h.as("engineer")
	said := &lines{}
	c.Stderr = said
	out, err := c.StdoutPipe()
	must(h.t, err)
	must(h.t, c.Start())
	defer func() { _ = c.Process.Signal(os.Interrupt); _ = c.Wait() }()
	var d door
	if json.NewDecoder(out).Decode(&d) == nil { // it opens the console for who comes
		conn, err := net.Dial("tcp", d.Listen)
		must(h.t, err)
		defer conn.Close()
		_, _ = vnc.Connect(h.t.Context(), conn, screen.New(screen.Masks{}, &hand{}), vnc.Config{Login: vnc.Login{Password: d.Password}})
	}
	for _, words := range why {
		until(h.t, "the engineer reads "+words, func() bool { return said.has(words) })
	}
}

// A console whose TLS is of the past, and whose certificate is another one day: what it
// showed is written down for the hospital, in words, and the other one is refused.
func TestAConsoleOfThePastThroughConnect(t *testing.T) {
	device, behind := startXvnc(t)
	xrdp, _ := startXrdp(t, device, behind)
	front := startOldFront(t, xrdp)
	first := front.shows(t)
	password := filepath.Join(t.TempDir(), "password")
	must(t, os.WriteFile(password, []byte(secret+"\n"), 0o600))
	h := raise(t, fmt.Sprintf(`{name: console-rdp, protocol: rdp, port: %d, legacy_tls: true, login: {user: svc, domain: "", password: "file:%s"}}`,
		front.Addr().(*net.TCPAddr).Port, password), "control")
	request := h.granted("console-rdp")
	id := h.grant(request)
	engineer := lend(t, h.door("engineer", "connect", "NGH-PETCT1/console-rdp", "-o", "json"))
	until(t, "the console is seen", func() bool {
		size, pix := device.picture()
		return engineer.sees(size, pix)
	})
	was := session.Certificate{Service: "console-rdp", SHA256: first, Known: session.KnownFirst}
	until(t, "the hospital is told", func() bool {
		all := h.session(id).Certificates
		if len(all) == 1 {
			was.Old = all[0].Old
		}
		return len(all) == 1 && all[0] == was && strings.Contains(was.Old, "TLS 1.0") && strings.Contains(was.Old, "RSA")
	})
	if told := h.run("approver", "sessions", "show", id); !bytes.Contains(told, []byte(was.Words())) {
		t.Errorf("%s does not say %q", told, was.Words())
	}
	h.run("approver", "sessions", "kill", id)

	second := front.shows(t)
	id = h.grant(h.granted("console-rdp"))
	h.fails("console-rdp", "another certificate than before", "Nothing was sent to it")
	until(t, "the hospital is told of the other one", func() bool {
		all := h.session(id).Certificates
		return len(all) == 1 && all[0] == session.Certificate{Service: "console-rdp", SHA256: second, Known: session.KnownRefused}
	})
	h.run("auditor", "login", "--hint", "s.adeyemi@northfield.example")
	log := h.run("auditor", "audit", "tail", "--last", "200", "-o", "json")
	for _, want := range []string{first, second, `"first"`, `"refused"`, was.Old} {
		if !bytes.Contains(log, []byte(want)) {
			t.Errorf("the audit log does not say %q", want)
		}
	}
	h.never(secret)
}

// startShadow lets svc look at a desk by RDP with network level authentication, with
// FreeRDP's server.
func startShadow(t *testing.T, d *desk) (port int) {
	t.Helper()
	hash, err := exec.Command("winpr-hash", "-u", "svc", "-p", secret, "-f", "sam").Output()
	must(t, err)
	sam := filepath.Join(t.TempDir(), "sam")
	must(t, os.WriteFile(sam, hash, 0o600))
	port = freePort(t)
	said := d.begin("freerdp-shadow-cli", nil, fmt.Sprintf("/port:%d", port), "/bind-address:127.0.0.1", "/sec:nla", "/sam-file:"+sam)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("freerdp-shadow said:\n%s", said)
		}
	})
	until(t, "freerdp-shadow listens", func() bool {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return port
}

// A real console with network level authentication: seen with the login that the agent
// holds, and refused in words with another.
func TestAConsoleWithNLAThroughConnect(t *testing.T) {
	d := startDesk(t, "640x480")
	must(t, exec.Command("xsetroot", "-display", d.display, "-solid", "#204060").Run())
	port := startShadow(t, d)
	password := filepath.Join(t.TempDir(), "password")
	must(t, os.WriteFile(password, []byte("a guess\n"), 0o600))
	h := raise(t, fmt.Sprintf(`{name: console-rdp, protocol: rdp, port: %d, login: {user: svc, domain: "", password: "file:%s"}}`, port, password), "control")
	id := h.grant(h.granted("console-rdp"))
	h.fails("console-rdp", "refused the login")
	known := func(as session.Known) {
		t.Helper()
		until(t, "the hospital is told that the certificate is "+string(as), func() bool {
			all := h.session(id).Certificates
			return len(all) == 1 && all[0].Known == as
		})
	}
	known(session.KnownFirst) // the agent holds it, though nobody was let in
	h.run("approver", "sessions", "kill", id)

	must(t, os.WriteFile(password, []byte(secret+"\n"), 0o600))
	id = h.grant(h.granted("console-rdp"))
	engineer := lend(t, h.door("engineer", "connect", "NGH-PETCT1/console-rdp", "-o", "json"))
	for _, colour := range []string{"#406020", "#602040"} {
		must(t, exec.Command("xsetroot", "-display", d.display, "-solid", colour).Run())
		until(t, "the console is seen in "+colour, func() bool {
			size, pix := d.picture()
			return engineer.sees(size, pix)
		})
	}
	known(session.KnownHeld)
	h.run("approver", "sessions", "kill", id)
	h.never(secret)
}
