package rdp

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
)

// sockets is where xrdp's programs meet, by the way that Debian builds them; .ci/peers makes it.
const sockets = "/run/xrdp/sockdir"

// xorg is a console of Xorg with xrdp's own drivers, as sesman starts one for who signs in.
type xorg struct {
	*xrdp
	server *exec.Cmd
}

// startXorg starts Xorg with xorgxrdp and xrdp before it, and beside both xrdp's channel server
// where texts are copied.
func startXorg(t *testing.T, copies bool, env ...string) *xorg {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "xorg.conf")
	if err := os.WriteFile(config, []byte(xorgConfig), 0o644); err != nil {
		t.Fatal(err)
	}
	r, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	x := &xorg{server: exec.Command("/usr/lib/xorg/Xorg", freeDisplay(t), "-displayfd", "3", "-config", config, "-logfile", filepath.Join(dir, "log"), "-noreset", "-nolisten", "tcp", "-nocursor")}
	x.server.Env = append(os.Environ(), append(env, "XRDP_SOCKET_PATH="+sockets, "XRDP_START_WIDTH=640", "XRDP_START_HEIGHT=480")...)
	x.server.ExtraFiles = []*os.File{out}
	var said bytes.Buffer
	x.server.Stdout, x.server.Stderr = &said, &said
	if err := x.server.Start(); err != nil {
		t.Fatal(err)
	}
	out.Close()
	var number int
	t.Cleanup(func() {
		_ = x.server.Process.Kill()
		_ = x.server.Wait()
		left, _ := filepath.Glob(fmt.Sprintf("%s/*_%d", sockets, number))
		for _, file := range left {
			_ = os.Remove(file)
		}
	})
	if _, err := fmt.Fscan(r, &number); err != nil {
		t.Fatalf("no display: %v: %s", err, said.String())
	}
	d := &display{t: t, name: fmt.Sprintf(":%d", number)}
	way, meets := fmt.Sprintf("lib=libxup.so\nusername=na\npassword=na\nip=127.0.0.1\nport=%s/xrdp_display_%d\n", sockets, number), []string{"xrdp_display_"}
	if copies {
		d.start("/usr/sbin/xrdp-chansrv")
		way, meets = fmt.Sprintf("%schansrvport=DISPLAY(%d)\n", way, number), append(meets, "xrdp_chansrv_socket_")
	}
	x.xrdp = frontOf(d, way)
	deadline := time.Now().Add(time.Minute)
	for _, name := range meets {
		for file := fmt.Sprint(sockets, "/", name, number); ; time.Sleep(20 * time.Millisecond) { // until it listens
			if _, err := os.Stat(file); err == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("there is no %s: %s", file, said.String())
			}
		}
	}
	return x
}

// xorgConfig is Debian's of xorgxrdp without what looks for a graphics card.
const xorgConfig = `
Section "ServerLayout"
    Identifier "X11 Server"
    Screen "Screen (xrdpdev)"
    InputDevice "xrdpMouse" "CorePointer"
    InputDevice "xrdpKeyboard" "CoreKeyboard"
EndSection
Section "ServerFlags"
    Option "DefaultServerLayout" "X11 Server"
    Option "DontVTSwitch" "on"
    Option "AutoAddDevices" "off"
    Option "AutoAddGPU" "off"
EndSection
Section "Module"
    Load "glamoregl"
    Load "xorgxrdp"
    Load "fb"
EndSection
Section "InputDevice"
    Identifier "xrdpKeyboard"
    Driver "xrdpkeyb"
EndSection
Section "InputDevice"
    Identifier "xrdpMouse"
    Driver "xrdpmouse"
EndSection
Section "Monitor"
    Identifier "Monitor"
    HorizSync 30-80
    VertRefresh 60-75
EndSection
Section "Device"
    Identifier "Video Card (xrdpdev)"
    Driver "xrdpdev"
EndSection
Section "Screen"
    Identifier "Screen (xrdpdev)"
    Device "Video Card (xrdpdev)"
    Monitor "Monitor"
    DefaultDepth 24
    SubSection "Display"
        Depth 24
        Modes "640x480" "800x600"
    EndSubSection
EndSection
`

// What xrdp with Xorg shows is what this client shows and what FreeRDP's does, pixel by pixel.
func TestAsFreeRDPShowsXorg(t *testing.T) { asFreeRDPShows(t, startXorg(t, false).xrdp) }

// Keys, pointer, wheel and texts, by xrdp's own drivers and its channel server.
func TestHandsAtXorg(t *testing.T) { handsAt(t, startXorg(t, true).xrdp) }

// However a session of a real console ends, it is said in a sentence with what to do next.
func TestXorgEnds(t *testing.T) {
	for name, c := range map[string]struct {
		env []string
		end func(t *testing.T, x *xorg)
	}{
		"killed": {end: func(t *testing.T, x *xorg) { _ = x.server.Process.Kill() }},
		"taken by another": {end: func(t *testing.T, x *xorg) {
			theirs := startDisplay(t, "640x480", false)
			theirs.start("xfreerdp", "/v:"+x.at, "/cert:ignore", "/u:na", "/p:na", "/w:640", "/h:480", "/sec:tls", "-decorations")
		}},
		"disconnected by its own tool": {end: func(t *testing.T, x *xorg) { x.start("xrdp-dis") }},
		"idle":                         {env: []string{"XRDP_SESMAN_MAX_IDLE_TIME=2"}, end: func(*testing.T, *xorg) {}},
	} {
		t.Run(name, func(t *testing.T) {
			x := startXorg(t, false, c.env...)
			x.run("xsetroot", "-solid", "#204060")
			shown := newSeen()
			cl, err := connect(t, x.at, shown, Config{Login: Login{User: "na", Password: "na"}, TLS: TLS{Pin: &x.pin}, Size: image.Pt(640, 480)})
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cl.Run() }()
			x.shown(shown, 32)
			c.end(t, x)
			select {
			case err := <-ended:
				var e *session.Error
				if !errors.As(err, &e) || !strings.Contains(e.Message, "The session was ended at the console") || e.Next == "" {
					t.Errorf("it ends with %v", err)
				}
			case <-time.After(time.Minute):
				t.Fatal("it goes on")
			}
		})
	}
}
