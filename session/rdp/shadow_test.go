package rdp

import (
	"errors"
	"fmt"
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/session"
)

// shadow is a console of FreeRDP's that shows a display.
type shadow struct {
	*display
	at  string
	pin [32]byte
}

// startShadow starts one that lets in doctor with s3cret!.
func startShadow(t *testing.T, d *display, security string) *shadow {
	t.Helper()
	port := freePort(t)
	s := &shadow{display: d, at: fmt.Sprintf("127.0.0.1:%d", port)}
	hash, err := exec.Command("winpr-hash", "-u", "doctor", "-p", "s3cret!", "-f", "sam").Output()
	if err != nil {
		t.Fatal(err)
	}
	sam := filepath.Join(t.TempDir(), "sam")
	if err := os.WriteFile(sam, hash, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{fmt.Sprintf("/port:%d", port), "/bind-address:127.0.0.1", "/sec:" + security, "/sam-file:" + sam}
	if security != "nla" {
		args = append(args, "-auth")
	}
	s.start("freerdp-shadow-cli", args...)
	first := func(pin [32]byte) error { s.pin = pin; return nil }
	if _, err := connect(t, s.at, keeper(forget), Config{Login: doctor, TLS: TLS{First: first}}); err != nil {
		t.Fatal(err)
	}
	return s
}

var doctor = Login{User: "doctor", Password: "s3cret!"}

// A console with NLA: CredSSP as a real server has it, and what it shows.
func TestAsShadowShowsIt(t *testing.T) {
	for _, security := range []string{"nla", "tls"} {
		t.Run(security, func(t *testing.T) {
			d := startDisplay(t, "640x480", false)
			d.run("xsetroot", "-solid", "#204060")
			d.start("xlogo", "-geometry", "300x200+10+10")
			s := startShadow(t, d, security)
			shown := newSeen()
			c, err := connect(t, s.at, shown, Config{Login: doctor, TLS: TLS{Pin: &s.pin}, Size: image.Pt(640, 480)})
			if err != nil {
				t.Fatal(err)
			}
			go func() { _ = c.Run() }()
			d.shown(shown, 32)
			d.start("xmag", "-source", "40x40+0+0", "-geometry", "+320+20")
			d.run("xsetroot", "-solid", "#806040")
			d.shown(shown, 32)
		})
	}
}

// What is not the login, or not the console, is refused in words.
func TestRefusalsOfAShadow(t *testing.T) {
	s := startShadow(t, startDisplay(t, "320x240", false), "nla")
	other := [32]byte{1}
	for name, c := range map[string]struct {
		cfg  Config
		says string
	}{
		"a wrong password":    {Config{Login: Login{User: "doctor", Password: "guess"}, TLS: TLS{Pin: &s.pin}}, "refused the login"},
		"no login":            {Config{TLS: TLS{Pin: &s.pin}}, "network level authentication"},
		"another certificate": {Config{Login: doctor, TLS: TLS{Pin: &other}}, "not the pinned one"},
		"a certificate that nobody takes": {Config{Login: doctor, TLS: TLS{First: func([32]byte) error {
			return session.Errorf(session.Refused, "Nobody takes it.").WithNext("Ask.")
		}}}, "Nobody takes it"},
		"no pin at all": {Config{Login: doctor}, "No certificate"},
	} {
		_, err := connect(t, s.at, keeper(forget), c.cfg)
		var e *session.Error
		if !errors.As(err, &e) || !strings.Contains(e.Message, c.says) || e.Next == "" {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: the password is in %v", name, err)
		}
	}
}

// A direct client of another maker shows the same, pixel by pixel, at every depth.
func TestAsFreeRDPShowsIt(t *testing.T) { asFreeRDPShows(t, startXrdp(t, "640x480")) }

// asFreeRDPShows compares one console as it is shown by this client, by FreeRDP's after it, and
// by itself.
func asFreeRDPShows(t *testing.T, x *xrdp) {
	x.run("xsetroot", "-solid", "#204060")
	x.start("xlogo", "-geometry", "300x200+10+10")
	x.start("xmag", "-source", "40x40+0+0", "-geometry", "+320+20")
	for _, depth := range []int{15, 16, 24, 32} {
		t.Run(fmt.Sprint(depth), func(t *testing.T) {
			shown := newSeen()
			c, err := connect(t, x.at, shown, Config{Login: Login{User: "na", Password: "na"}, TLS: TLS{Pin: &x.pin}, Size: image.Pt(640, 480), depth: depth})
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- c.Run() }()
			x.shown(shown, depth)
			c.Close() // one after another: a console may have one session
			<-ended
			theirs := startDisplay(t, "640x480", false)
			theirs.start("xfreerdp", "/v:"+x.at, "/cert:ignore", "/u:na", "/p:na", "/w:640", "/h:480", fmt.Sprintf("/bpp:%d", depth), "/sec:tls", "-decorations", "-wallpaper")
			exact := 32
			if depth == 16 {
				exact = 16 // FreeRDP makes six bits of green eight in its own way: 0x10 is 0x42 there, and 0x41 here
			}
			theirs.shown(shown, exact)
		})
	}
}
