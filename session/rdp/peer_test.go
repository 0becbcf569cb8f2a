package rdp

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"image"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session/screen"
)

type keeper func(screen.Change) error

func (k keeper) Keep(c screen.Change) error { return k(c) }

func forget(screen.Change) error { return nil }

// seen is what a client shows, and a way to wait for it.
type seen struct {
	mu     sync.Mutex
	size   image.Point
	pix    []uint32
	cursor *screen.Cursor
	news   chan struct{}
	first  time.Time // when anything was shown
}

func newSeen() *seen { return &seen{news: make(chan struct{}, 1)} }

func (s *seen) Keep(c screen.Change) error {
	s.mu.Lock()
	s.size, s.pix = c.Size, slices.Clone(c.Pix)
	if s.first.IsZero() {
		s.first = time.Now()
	}
	if c.Cursor != nil {
		s.cursor = c.Cursor
	}
	s.mu.Unlock()
	select {
	case s.news <- struct{}{}:
	default:
	}
	return nil
}

// until waits for something about what is shown.
func (s *seen) until(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		s.mu.Lock()
		ok := is()
		s.mu.Unlock()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		select {
		case <-s.news:
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// display is an X server that a console is made of.
type display struct {
	t    *testing.T
	name string
	port int // of VNC, 0 where it has none
}

func startDisplay(t *testing.T, size string, vnc bool) *display {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	d := &display{t: t}
	c := exec.Command("Xvfb", freeDisplay(t), "-displayfd", "3", "-screen", "0", size+"x24", "-noreset", "-nolisten", "tcp")
	if vnc {
		d.port = freePort(t)
		c = exec.Command("Xvnc", freeDisplay(t), "-displayfd", "3", "-geometry", size, "-depth", "24", "-rfbport", fmt.Sprint(d.port), "-localhost", "-SecurityTypes", "None", "-noreset", "-nolisten", "tcp")
	}
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
		t.Fatalf("no display: %v: %s", err, said.String())
	}
	d.name = fmt.Sprintf(":%d", number)
	return d
}

// freeDisplay is a display for an X server alone: two that look for one at the same time
// take each other's.
func freeDisplay(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf(":%d", 1000+freePort(t)%20000)
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// run runs a program on the display.
func (d *display) run(name string, args ...string) []byte {
	d.t.Helper()
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), "DISPLAY="+d.name)
	out, err := c.Output()
	if err != nil {
		d.t.Fatalf("%s: %v", name, err)
	}
	return out
}

func (d *display) start(name string, args ...string) *bytes.Buffer {
	d.t.Helper()
	c := exec.Command(name, args...)
	home := d.t.TempDir()
	c.Env = append(os.Environ(), "DISPLAY="+d.name, "HOME="+home, "XDG_CONFIG_HOME="+home)
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	c.WaitDelay = time.Second // for its children
	if err := c.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	return &said
}

// pixels are what the display shows (xwd's format, X11/XWDFile.h).
func (d *display) pixels() (image.Point, []uint32) {
	b := d.run("xwd", "-root", "-silent")
	word := func(n int) int { return int(binary.BigEndian.Uint32(b[4*n:])) }
	size, line := image.Pt(word(4), word(5)), word(12)
	data := b[word(0)+12*word(19):]
	pix := make([]uint32, 0, size.X*size.Y)
	for y := range size.Y {
		for i := range size.X {
			pix = append(pix, binary.LittleEndian.Uint32(data[y*line+4*i:])&0xffffff)
		}
	}
	return size, pix
}

// shown waits until a client shows what the display does, as it looks at that depth.
func (d *display) shown(s *seen, depth int) {
	d.t.Helper()
	s.until(d.t, "client and console show the same", func() bool {
		size, pix := d.pixels()
		if size != s.size || len(pix) != len(s.pix) {
			return false
		}
		for i := range pix {
			if !alike(pix[i], s.pix[i], depth) {
				return false
			}
		}
		return true
	})
}

// alike reports whether got is want at a depth: what is cut off may be made up in any way.
func alike(want, got uint32, depth int) bool {
	keep := map[int]uint32{15: 0xf8f8f8, 16: 0xf8fcf8}[depth]
	if keep == 0 {
		keep = 0xffffff
	}
	return want&keep == got&keep
}

// certificate writes one with its key, and returns its pin.
func certificate(t *testing.T, dir string, key crypto.Signer, by x509.SignatureAlgorithm) (cert, private string, pin [32]byte) {
	t.Helper()
	is := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "console"}, NotAfter: time.Now().Add(time.Hour), SignatureAlgorithm: by}
	der, err := x509.CreateCertificate(rand.Reader, is, is, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	b, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert, private = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := errors.Join(os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644),
		os.WriteFile(private, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b}), 0o644)); err != nil {
		t.Fatal(err)
	}
	return cert, private, sha256.Sum256(der)
}

func newRSA(t *testing.T) crypto.Signer {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// xrdp is a console of xrdp that shows a display.
type xrdp struct {
	*display
	at  string
	pin [32]byte
}

func startXrdp(t *testing.T, size string) *xrdp {
	t.Helper()
	d := startDisplay(t, size, true)
	return frontOf(d, fmt.Sprintf("lib=libvnc.so\nusername=na\npassword=na\nip=127.0.0.1\nport=%d\n", d.port))
}

// frontOf puts xrdp before a display, which it reaches in this way.
func frontOf(d *display, way string) *xrdp {
	t := d.t
	t.Helper()
	x := &xrdp{display: d, at: fmt.Sprintf("127.0.0.1:%d", freePort(t))}
	dir := t.TempDir()
	cert, key, pin := certificate(t, dir, newRSA(t), x509.SHA256WithRSA)
	x.pin = pin
	ini := fmt.Sprintf(`[Globals]
ini_version=1
fork=true
port=tcp://%s
tcp_nodelay=true
security_layer=tls
crypt_level=high
certificate=%s
key_file=%s
ssl_protocols=TLSv1.2, TLSv1.3
autorun=console
allow_channels=true
bitmap_compression=true
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
%s`, x.at, cert, key, filepath.Join(dir, "xrdp.log"), way)
	config := filepath.Join(dir, "xrdp.ini")
	if err := os.WriteFile(config, []byte(ini), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if b, err := os.ReadFile(filepath.Join(dir, "xrdp.log")); err == nil && t.Failed() {
			t.Logf("%s", b)
		}
	})
	x.start("/usr/sbin/xrdp", "--nodaemon", "--config", config)
	return x
}

// dial waits for somebody to listen.
func dial(t testing.TB, at string) net.Conn {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		conn, err := net.Dial("tcp", at)
		if err == nil {
			t.Cleanup(func() { conn.Close() })
			return conn
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // until it listens
	}
}

func connect(t *testing.T, at string, keep screen.Keeper, cfg Config) (*Client, error) {
	t.Helper()
	return Connect(t.Context(), dial(t, at), screen.New(screen.Masks{}, keep), cfg)
}

// What a real console shows is what the client shows, pixel by pixel, at every depth.
func TestAsXrdpShowsIt(t *testing.T) {
	x := startXrdp(t, "640x480")
	x.run("xsetroot", "-solid", "#204060")
	x.start("xlogo", "-geometry", "300x200+10+10")
	x.start("xmag", "-source", "40x40+0+0", "-geometry", "+320+20")
	for _, depth := range []int{15, 16, 24, 32} {
		t.Run(fmt.Sprint(depth), func(t *testing.T) {
			shown := newSeen()
			begun := time.Now()
			c, err := connect(t, x.at, shown, Config{Login: Login{User: "na", Password: "na"}, TLS: TLS{Pin: &x.pin}, Size: image.Pt(640, 480), depth: depth})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("ready after %v", time.Since(begun))
			go func() { _ = c.Run() }()
			x.shown(shown, depth)
			t.Logf("the first picture after %v", shown.first.Sub(begun))
			c.Close()
		})
	}
}
