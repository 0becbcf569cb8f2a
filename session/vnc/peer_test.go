package vnc

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
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
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session/screen"
	"github.com/sallyport/sallyport/session/screen/rfb"
)

// xvnc is TigerVNC's server, as a console.
type xvnc struct {
	t       *testing.T
	display string
	port    int
}

// startXvnc starts one, with more arguments.
func startXvnc(t *testing.T, args ...string) *xvnc {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	c := exec.Command("Xvnc", append([]string{freeDisplay(t), "-displayfd", "3", "-geometry", "640x480", "-depth", "24", "-rfbport", fmt.Sprint(port), "-localhost", "-NeverShared=0", "-noreset", "-nolisten", "tcp"}, args...)...)
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
		t.Fatalf("Xvnc says no display: %v: %s", err, said.String())
	}
	return &xvnc{t, fmt.Sprintf(":%d", number), port}
}

// freeDisplay is a display for an X server alone: two that look for one at the same time
// take each other's.
func freeDisplay(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf(":%d", 1000+freePort(t)%20000)
}

func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// run runs a program of X on the console.
func (x *xvnc) run(name string, args ...string) []byte {
	x.t.Helper()
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), "DISPLAY="+x.display)
	out, err := c.Output()
	if err != nil {
		x.t.Fatalf("%s: %v", name, err)
	}
	return out
}

func (x *xvnc) start(name string, args ...string) {
	x.t.Helper()
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), "DISPLAY="+x.display)
	if err := c.Start(); err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
}

// pixels are what the console itself says that it shows (xwd's format, X11/XWDFile.h).
func (x *xvnc) pixels() (image.Point, []uint32) {
	b := x.run("xwd", "-root", "-silent")
	word := func(n int) int { return int(binary.BigEndian.Uint32(b[4*n:])) }
	size, line := image.Pt(word(4), word(5)), word(12)
	data := b[word(0)+12*word(19):]
	var pix []uint32
	for y := range size.Y {
		for i := range size.X {
			pix = append(pix, binary.LittleEndian.Uint32(data[y*line+4*i:])&0xffffff)
		}
	}
	return size, pix
}

func (x *xvnc) connect(s *screen.Screen, cfg Config) (*Client, error) {
	x.t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", x.port))
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { conn.Close() })
	return Connect(x.t.Context(), conn, s, cfg)
}

// What a real console shows is what the client shows, pixel by pixel, in every encoding that
// it may choose, over moves and other sizes.
func TestAsXvncShowsIt(t *testing.T) {
	for name, first := range map[string]int32{"raw": rfb.Raw, "hextile": rfb.Hextile, "tight": rfb.Tight, "zrle": rfb.ZRLE} {
		t.Run(name, func(t *testing.T) {
			x := startXvnc(t, "-SecurityTypes", "None")
			shown := &seen{news: make(chan struct{}, 1)}
			c, err := x.connect(screen.New(screen.Masks{}, shown), Config{first: first})
			if err != nil {
				t.Fatal(err)
			}
			go func() { _ = c.Run() }()
			size, pix := x.pixels()
			shown.shows(t, size, pix)
			x.run("xsetroot", "-solid", "#204060")
			x.start("xlogo", "-geometry", "300x200+10+10")
			x.start("xmag", "-source", "40x40+0+0", "-geometry", "+320+20")
			x.stands(shown)
			x.run("xrandr", "-s", "800x600")
			x.stands(shown)
		})
	}
}

// stands waits until the client shows what the console does.
func (x *xvnc) stands(shown *seen) {
	x.t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		size, pix := x.pixels()
		shown.mu.Lock()
		same := shown.size == size && equal(shown.pix, pix)
		shown.mu.Unlock()
		if same {
			return
		}
		if time.Now().After(deadline) {
			x.t.Fatal("client and console show different things")
		}
		select {
		case <-shown.news:
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func equal(a, b []uint32) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// certificate writes one with its key, and returns its pin.
func certificate(t *testing.T, dir string) (cert, key string, pin [32]byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	is := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "console"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, is, is, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := errors.Join(os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600)); err != nil {
		t.Fatal(err)
	}
	return cert, key, sha256.Sum256(der)
}

// Every login that a real console of this kind can ask for, and those that do not fit it:
// nothing is sent to a console that asks for less than the login has.
func TestLoginsAtXvnc(t *testing.T) {
	dir := t.TempDir()
	passwd := filepath.Join(dir, "passwd")
	c := exec.Command("vncpasswd", "-f")
	c.Stdin = strings.NewReader("s3cret!\n")
	out, err := c.Output()
	if err = errors.Join(err, os.WriteFile(passwd, out, 0o600)); err != nil {
		t.Fatal(err)
	}
	cert, key, pin := certificate(t, dir)
	with := Login{Password: "s3cret!"}
	pinned, wrong, another := Login{Password: "s3cret!", Pin: &pin}, Login{Password: "guess", Pin: &pin}, Login{Password: "s3cret!", Pin: &[32]byte{1}}
	for _, asks := range []struct {
		types string
		in    []Login
		out   []Login
	}{
		{"None", []Login{{}}, []Login{with, pinned}},
		{"VncAuth", []Login{with}, []Login{{}, {Password: "guess"}, pinned, {User: "x", Password: "s3cret!"}}},
		{"X509Vnc", []Login{pinned}, []Login{{}, with, wrong, another}},
		{"X509None", []Login{{Pin: &pin}}, []Login{{}, with, pinned, {Pin: &[32]byte{1}}}},
		{"None,VncAuth,X509Vnc", []Login{{}, with, pinned}, []Login{{Password: "guess"}}},
	} {
		t.Run(asks.types, func(t *testing.T) {
			x := startXvnc(t, "-SecurityTypes", asks.types, "-rfbauth", passwd, "-X509Cert", cert, "-X509Key", key, "-BlacklistThreshold", "100")
			for _, l := range asks.in {
				if _, err := x.connect(screen.New(screen.Masks{}, keeper(forget)), Config{Login: l}); err != nil {
					t.Errorf("%+v: %v", l, err)
				}
			}
			for _, l := range asks.out {
				if _, err := x.connect(screen.New(screen.Masks{}, keeper(forget)), Config{Login: l}); err == nil {
					t.Errorf("%+v is let in", l)
				}
			}
		})
	}
}
