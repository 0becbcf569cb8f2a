package screens

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"io/fs"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/sallyport/sallyport/session/screen"
	"github.com/sallyport/sallyport/session/vnc"
)

const secret = "Tungsten-Orchard-4711"

// startXrdp puts xrdp before a console: its port, and the pin of its certificate.
func startXrdp(t *testing.T, console *desk, vncPort int) (port int, pin string) {
	t.Helper()
	dir := t.TempDir()
	port = freePort(t)
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	ini := fmt.Sprintf(`[Globals]
ini_version=1
fork=true
port=tcp://127.0.0.1:%d
security_layer=tls
crypt_level=high
certificate=%s
key_file=%s
ssl_protocols=TLSv1.2, TLSv1.3
autorun=console
allow_channels=true
max_bpp=32
new_cursors=true
use_fastpath=both
hidelogwindow=true

[Logging]
LogFile=%s
LogLevel=INFO
EnableSyslog=false

[Channels]
rdpdr=false
cliprdr=true

[console]
name=console
lib=libvnc.so
username=na
password=na
ip=127.0.0.1
port=%d
`, port, cert, key, filepath.Join(dir, "xrdp.log"), vncPort)
	config := filepath.Join(dir, "xrdp.ini")
	must(t, os.WriteFile(config, []byte(ini), 0o600))
	pin = certificate(t, cert, key)
	console.begin("/usr/sbin/xrdp", nil, "--nodaemon", "--config", config)
	until(t, "xrdp listens", func() bool {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return port, pin
}

// relay stands between the agent and a console, and can be cut.
type relay struct {
	net.Listener
	mu   sync.Mutex
	live []net.Conn
}

func startRelay(t *testing.T, to int) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	r := &relay{Listener: l}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", to))
			if err != nil {
				_ = near.Close()
				continue
			}
			r.mu.Lock()
			r.live = append(r.live, near, far)
			r.mu.Unlock()
			for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
				all.Go(func() {
					_, _ = io.Copy(way[0], way[1])
					_ = way[0].Close()
				})
			}
		}
	})
	t.Cleanup(func() { _ = l.Close(); r.cut(); all.Wait() })
	return r
}

func (r *relay) port() int { return r.Addr().(*net.TCPAddr).Port }

func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.live {
		_ = c.Close()
	}
	r.live = nil
}

// certificate writes a new one and its key, and returns its pin.
func certificate(t *testing.T, cert, key string) string {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	is := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "console"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, is, is, k.Public(), k)
	must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(k)
	must(t, err)
	must(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	return fmt.Sprintf("sha256:%x", sha256.Sum256(der))
}

// hand is a viewer that sees, types and copies.
type hand struct {
	*vnc.Client
	copied chan string

	mu   sync.Mutex
	size image.Point
	pix  []uint32
}

func (h *hand) Keep(c screen.Change) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.size, h.pix = c.Size, slices.Clone(c.Pix)
	return nil
}

func (h *hand) sees(size image.Point, pix []uint32) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.size == size && slices.EqualFunc(h.pix, pix, func(a, b uint32) bool { return a&0xffffff == b })
}

func (h *hand) taps(sym, code uint32) {
	_ = h.Point(screen.Pointer{At: image.Pt(400, 300)})
	_ = h.Press(screen.Key{Sym: sym, Code: code, Down: true})
	_ = h.Press(screen.Key{Sym: sym, Code: code})
}

func lend(t *testing.T, at door) *hand {
	t.Helper()
	h := &hand{copied: make(chan string, 100)}
	conn, err := net.Dial("tcp", at.Listen)
	must(t, err)
	h.Client, err = vnc.Connect(t.Context(), conn, screen.New(screen.Masks{}, h), vnc.Config{Login: vnc.Login{Password: at.Password}, Copied: func(s string) {
		select {
		case h.copied <- s:
		default:
		}
	}})
	must(t, err)
	done := make(chan struct{})
	go func() { defer close(done); _ = h.Run() }()
	t.Cleanup(func() { _ = h.Close(); <-done })
	return h
}

// lines is what a program says, as far as it said it.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) has(what string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), what)
}

// keys tells what is typed at a console.
func (d *desk) keys() *lines {
	d.t.Helper()
	heard := &lines{}
	c := exec.Command("stdbuf", "-oL", "xev", "-geometry", "560x200+40+260", "-event", "keyboard")
	c.Env = append(os.Environ(), "DISPLAY="+d.display)
	c.Stdout = heard
	must(d.t, c.Start())
	d.t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	return heard
}

// clipboard is what could be pasted at a console.
func (d *desk) clipboard() string {
	out, _ := exec.Command("xclip", "-display", d.display, "-selection", "clipboard", "-o").Output()
	return string(out)
}

func (d *desk) copies(text string) {
	d.t.Helper()
	c := exec.Command("xclip", "-display", d.display, "-selection", "clipboard", "-quiet")
	c.Stdin = strings.NewReader(text)
	must(d.t, c.Start())
	d.t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
}

// A real console that speaks RDP (xrdp), through everything of ours: seen pixel by pixel in
// TigerVNC's viewer, typed at, copied from and to, watched, frozen, replayed; and nothing
// but the hospital's own file has its password.
func TestAnRDPConsoleThroughConnect(t *testing.T) {
	device, behind := startXvnc(t)
	port, pin := startXrdp(t, device, behind)
	between := startRelay(t, port)
	password := filepath.Join(t.TempDir(), "password")
	must(t, os.WriteFile(password, []byte(secret+"\n"), 0o600))
	h := raise(t, fmt.Sprintf(`{name: console-rdp, protocol: rdp, port: %d, login: {user: svc, domain: "", password: "file:%s"}, keyboard: us}`,
		between.port(), password), "control, clipboard-in, clipboard-out")
	request := h.granted("console-rdp", "--clipboard", "in,out")
	var asked struct{ Grant string }
	must(t, json.Unmarshal(h.run("approver", "request", "show", request, "-o", "json"), &asked))
	connected := h.door("engineer", "connect", "NGH-PETCT1/console-rdp", "-o", "json")

	d := startDesk(t, "1400x900")
	d.viewer(connected.Listen, connected.Password)
	engineer := lend(t, connected)
	watching := lend(t, h.door("approver", "sessions", "watch", asked.Grant, "-o", "json"))
	for _, colour := range []string{"#204060", "#406020"} {
		must(t, exec.Command("xsetroot", "-display", device.display, "-solid", colour).Run())
		until(t, "engineer, viewer and who watches see the console in "+colour, func() bool {
			size, pix := device.picture()
			on, all := d.picture()
			return engineer.sees(size, pix) && watching.sees(size, pix) && holds(on, all, size, pix)
		})
	}

	between.cut() // and it is dialled again
	must(t, exec.Command("xsetroot", "-display", device.display, "-solid", "#602040").Run())
	until(t, "the console is seen again", func() bool {
		size, pix := device.picture()
		return engineer.sees(size, pix) && watching.sees(size, pix)
	})

	heard := device.keys()
	until(t, "a key arrives", func() bool { engineer.taps('a', 0x1e); return heard.has("keysym 0x61, a") })
	h.run("approver", "sessions", "freeze", asked.Grant)
	engineer.taps('b', 0x30)
	h.run("approver", "sessions", "thaw", asked.Grant)
	until(t, "a key arrives again", func() bool { engineer.taps('c', 0x2e); return heard.has("keysym 0x63, c") })
	if heard.has("keysym 0x62, b") {
		t.Error("what was typed into the freeze arrives")
	}
	device.copies("from the console")
	select {
	case got := <-engineer.copied:
		if got != "from the console" {
			t.Errorf("copied %q", got)
		}
	case <-time.After(patience):
		t.Fatal("nothing is copied")
	}
	until(t, "a text is pasted", func() bool {
		return engineer.Paste("from the engineer") == nil && device.clipboard() == "from the engineer"
	})

	size, pix := device.picture()
	until(t, "nothing changes any more", func() bool { return engineer.sees(size, pix) })
	h.run("approver", "sessions", "kill", asked.Grant)
	h.replays(size, pix, "for the first time: "+pin, "dials it again")
	h.never(secret)
}

// replays takes the last picture out of the only recording, and compares.
func (h *hospital) replays(size image.Point, pix []uint32, remarks ...string) {
	h.t.Helper()
	h.run("auditor", "login", "--hint", "s.adeyemi@northfield.example")
	var all []struct{ ID, State, Started, Ended string }
	until(h.t, "the recording is sealed", func() bool {
		must(h.t, json.Unmarshal(h.run("auditor", "recordings", "ls", "-o", "json"), &all))
		return len(all) == 1 && all[0].State == "sealed"
	})
	begun, err := time.Parse(time.RFC3339, all[0].Started)
	must(h.t, err)
	ended, err := time.Parse(time.RFC3339, all[0].Ended)
	must(h.t, err)
	file := filepath.Join(h.t.TempDir(), "last.png")
	h.run("auditor", "recordings", "export", all[0].ID, "--reason", "Review", "--format", "png", "--at", ended.Sub(begun).String(), "-o", file)
	f, err := os.Open(file)
	must(h.t, err)
	defer f.Close()
	img, err := png.Decode(f)
	must(h.t, err)
	if img.Bounds().Size() != size {
		h.t.Fatalf("replayed %v, and %v was shown", img.Bounds(), size)
	}
	differ := 0
	for i, want := range pix {
		c := color.NRGBAModel.Convert(img.At(i%size.X, i/size.X)).(color.NRGBA)
		if uint32(c.R)<<16|uint32(c.G)<<8|uint32(c.B) != want {
			differ++
		}
	}
	if differ > 0 {
		h.t.Errorf("%d pixels are replayed in another colour", differ)
	}
	said := h.run("auditor", "recordings", "export", all[0].ID, "--reason", "Review", "--format", "json")
	for _, remark := range remarks {
		if !bytes.Contains(said, []byte(remark)) {
			h.t.Errorf("the recording does not say %q", remark)
		}
	}
}

// never looks for a text in everything that was written, of broker, agent and people.
func (h *hospital) never(text string) {
	h.t.Helper()
	files := 0
	must(h.t, filepath.WalkDir(h.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		files++
		if says(b, text) {
			h.t.Errorf("%s has the console's password", path)
		}
		return err
	}))
	if files < 20 {
		h.t.Errorf("only %d files were looked through", files)
	}
}

// says reports whether bytes hold a text, in UTF-8 or as Windows writes it.
func says(b []byte, text string) bool {
	var wide []byte
	for _, u := range utf16.Encode([]rune(text)) {
		wide = append(wide, byte(u), byte(u>>8))
	}
	return bytes.Contains(b, []byte(text)) || bytes.Contains(b, wide)
}
