package screens

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/asn1"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// teller stands before a real console that speaks RDP: it passes on what is said, and says
// what that console never says of itself.
type teller struct {
	*oldFront
	instead atomic.Pointer[func(net.Conn)] // of the console, for who comes

	mu   sync.Mutex // held while one message is written
	near net.Conn   // who came last
}

func startTeller(t *testing.T, console int) *teller {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	f := &teller{oldFront: &oldFront{Listener: l, console: console}}
	f.shows(t)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer near.Close()
				if instead := f.instead.Load(); instead != nil {
					(*instead)(near)
					return
				}
				f.pass(near)
			}()
		}
	}()
	return f
}

func (f *teller) config() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{*f.certificate.Load()}}
}

func (f *teller) pass(near net.Conn) {
	far, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", f.console))
	if err != nil {
		return
	}
	defer far.Close()
	if passTPKT(far, near) != nil || passTPKT(near, far) != nil {
		return
	}
	engineer, console := tls.Server(near, f.config()), tls.Client(far, &tls.Config{InsecureSkipVerify: true})
	f.mu.Lock()
	f.near = engineer
	f.mu.Unlock()
	go func() { _, _ = io.Copy(console, engineer); _ = far.Close() }()
	for from := bufio.NewReaderSize(console, 1<<16); ; {
		b, err := message(from)
		if err != nil || f.says(engineer, b) != nil {
			return
		}
	}
}

func (f *teller) says(to net.Conn, b []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := to.Write(b)
	return err
}

// tells says something to who came last, in the console's name.
func (f *teller) tells(b []byte) error {
	f.mu.Lock()
	to := f.near
	f.mu.Unlock()
	return f.says(to, b)
}

// message reads one, of the slow path or the fast one.
func message(from *bufio.Reader) ([]byte, error) {
	head, err := from.Peek(4)
	if err != nil {
		return nil, err
	}
	n := int(head[1])
	switch {
	case head[0] == 3:
		n = int(binary.BigEndian.Uint16(head[2:]))
	case head[1]&0x80 != 0:
		n = int(binary.BigEndian.Uint16(head[1:]) & 0x7fff)
	}
	b := make([]byte, n)
	_, err = io.ReadFull(from, b)
	return b, err
}

// shareData is a message of a console that is shown (MS-RDPBCGR 2.2.8.1.1.1.2).
func shareData(kind byte, b []byte) []byte {
	le, be := binary.LittleEndian, binary.BigEndian
	data := append(le.AppendUint16(le.AppendUint32(nil, 0x103ea), 0x100), 0, 0, kind, 0, 0, 0)
	le.PutUint16(data[6:], uint16(len(b)+4))
	data = append(data, b...)
	control := append(le.AppendUint16(le.AppendUint16(le.AppendUint16(nil, uint16(len(data)+6)), 0x17), 1002), data...)
	mcs := append(be.AppendUint16([]byte{0x68, 0, 1, 3, 0xeb, 0x70}, uint16(len(control))|0x8000), control...)
	return append(be.AppendUint16([]byte{3, 0}, uint16(len(mcs)+7)), append([]byte{2, 0xf0, 0x80}, mcs...)...)
}

// errorInfo is why a console ends, and its end.
func errorInfo(code uint32) []byte {
	return append(shareData(47, binary.LittleEndian.AppendUint32(nil, code)), 3, 0, 0, 9, 2, 0xf0, 0x80, 0x21, 0x80)
}

// signIn is that nobody gets in, as a console without network level authentication says it.
func signIn(status uint32) []byte {
	var b []byte
	for _, v := range []uint32{3, 2 << 16, 8 << 16, status << 16, status >> 16} { // after a length of 16 bits
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	b = append(b, make([]byte, 2+570)...)
	return shareData(38, b)
}

// negotiated is a console's answer before TLS.
func negotiated(kind byte, what uint32) []byte {
	return append([]byte{3, 0, 0, 19, 14, 0xd0, 0, 0, 0, 0, 0, kind, 0, 8, 0}, binary.LittleEndian.AppendUint32(nil, what)...)
}

// answers reads what a client asks for, and answers.
func answers(b []byte) func(net.Conn) {
	return func(near net.Conn) {
		if passTPKT(io.Discard, near) == nil {
			_, _ = near.Write(b)
			_, _ = io.Copy(io.Discard, near)
		}
	}
}

// refusesNLA answers the first message of CredSSP with a status, as Windows does.
func (f *teller) refusesNLA(t *testing.T, status uint32) func(net.Conn) {
	t.Helper()
	refusal, err := asn1.Marshal(struct {
		Version int `asn1:"explicit,tag:0"`
		Status  int `asn1:"explicit,tag:4"`
	}{6, int(int32(status))})
	must(t, err)
	return func(near net.Conn) {
		if passTPKT(io.Discard, near) != nil {
			return
		}
		_, _ = near.Write(negotiated(2, 2))
		inside := tls.Server(near, f.config())
		if _, err := inside.Read(make([]byte, 4096)); err == nil {
			_, _ = inside.Write(refusal)
			_, _ = io.Copy(io.Discard, inside)
		}
	}
}

// serves is connect, and what it says to its engineer.
func (h *hospital) serves(service string) (d door, said *lines) {
	h.t.Helper()
	c := exec.Command(h.program, "connect", "NGH-PETCT1/"+service, "-o", "json")
	c.Env, said = h.as("engineer"), &lines{}
	c.Stderr = said
	out, err := c.StdoutPipe()
	must(h.t, err)
	must(h.t, c.Start())
	h.t.Cleanup(func() { _ = c.Process.Signal(syscall.SIGTERM); _ = c.Wait() })
	must(h.t, json.NewDecoder(out).Decode(&d))
	return d, said
}

// Whatever a console refuses, and however it ends, the engineer reads it in one sentence with
// what to do next, and never just that it hung up.
func TestWhatARefusingConsoleSaysThroughConnect(t *testing.T) {
	device, behind := startXvnc(t)
	xrdp, _ := startXrdp(t, device, behind)
	front := startTeller(t, xrdp)
	password := filepath.Join(t.TempDir(), "password")
	must(t, os.WriteFile(password, []byte(secret+"\n"), 0o600))
	h := raise(t, fmt.Sprintf(`{name: console-rdp, protocol: rdp, port: %d, login: {user: svc, domain: "", password: "file:%s"}}`,
		front.Addr().(*net.TCPAddr).Port, password), "control")
	id := h.grant(h.granted("console-rdp"))

	for _, c := range []struct {
		name    string
		instead func(net.Conn)
		says    string
	}{
		{"no TLS", answers(negotiated(3, 2)), "without TLS"},
		{"another protocol", answers([]byte("SSH-2.0-OpenSSH_9.2\r\n")), "does not speak RDP as it should"},
		{"a hang-up", func(net.Conn) {}, "hung up before its console could be shown"},
		{"a wrong password", front.refusesNLA(t, 0xc000006d), "user or password is wrong"},
		{"an expired password", front.refusesNLA(t, 0xc0000071), "The password of the login has expired"},
		{"an expired user", front.refusesNLA(t, 0xc0000193), "The user of the login has expired"},
		{"a locked user", front.refusesNLA(t, 0xc0000234), "locked at the console after wrong passwords"},
	} {
		front.instead.Store(&c.instead)
		h.fails("console-rdp", c.says)
		until(t, c.name+" is told to the hospital", func() bool {
			no := h.session(id).NoDevice
			return no != nil && strings.Contains(no.Message, c.says) && no.Next != ""
		})
	}

	front.instead.Store(nil)
	var all []byte
	for _, c := range []struct {
		name string
		b    []byte
		says string
	}{
		{"a wrong password, without NLA", signIn(0xc000006d), "The console refused the login: user or password is wrong. Check them in the agent's secrets."},
		{"an expired password, without NLA", signIn(0xc0000071), "The password of the login has expired at the console. Change it at the console, and in the agent's secrets."},
		{"taken by another", errorInfo(5), "Somebody else connected to the console, and it has one session. Ask who works there before you take it back."},
		{"ended by its administrator", errorInfo(1), "The console's administrator ended the session. Ask who serves the console before you try again."},
		{"signed out by its operator", errorInfo(0xc), "Somebody at the console signed out, and its programs were closed. Ask who works there before you begin again."},
		{"idle for too long", errorInfo(3), "Nobody worked at the console for as long as it allows. Begin again."},
	} {
		at, said := h.serves("console-rdp")
		engineer := lend(t, at)
		until(t, "the console is seen", func() bool {
			size, pix := device.picture()
			return engineer.sees(size, pix)
		})
		must(t, front.tells(c.b))
		until(t, c.name+" is read by the engineer", func() bool { return said.has(c.says) })
		until(t, c.name+" is told to the hospital", func() bool {
			no := h.session(id).NoDevice
			return no != nil && no.Message+" "+no.Next == c.says
		})
		said.mu.Lock()
		all = append(all, said.b.Bytes()...)
		said.mu.Unlock()
	}
	if bytes.Contains(all, []byte("closed the connection")) {
		t.Errorf("the engineer reads of a hang-up: %s", all)
	}
	h.never(secret)
}
