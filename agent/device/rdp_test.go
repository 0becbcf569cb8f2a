package device

import (
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/sallyport/sallyport/session"
)

// What a console that speaks RDP needs and cannot use is said before anybody asks for it.
func TestRDPTargets(t *testing.T) {
	pin := "sha256:" + strings.Repeat("ab", 32)
	good := func() Target {
		x := Target{Asset: "CT", Endpoint: "console", Service: "console-rdp", Address: "10.0.0.5", Port: 3389, Protocol: session.RDP}
		if err := yaml.Unmarshal([]byte(`{user: svc, domain: "", password: "env:X"}`), &x.Login); err != nil {
			t.Fatal(err)
		}
		x.Console = Console{Pin: pin, Keyboard: "de"}
		return x
	}
	for want, change := range map[string]func(*Target){
		"":                         func(*Target) {},
		"needs a user":             func(x *Target) { x.Login.User = "" },
		"a password":               func(x *Target) { x.Login = Login{User: "svc"} },
		"SHA-256 of a certificate": func(x *Target) { x.Console.Pin = "sha256:ab" },
		"keyboard is not known":    func(x *Target) { x.Console.Keyboard = "klingon" },
		"no ssh key":               func(x *Target) { x.HostKey = "SHA256:x" },
		"no environment":           func(x *Target) { x.Legacy = true },
		"are for consoles that":    func(x *Target) { x.Protocol = session.VNC },
	} {
		x := good()
		change(&x)
		if err := x.Check(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	for name, want := range map[string]uint32{"": 0, "de": 0x407, "us": 0x409, "0x100c": 0x100c} {
		if got, ok := keyboard(name); !ok || got != want {
			t.Errorf("%q is %#x", name, got)
		}
	}
}
