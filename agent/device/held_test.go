package device

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/session"
)

// The first certificate is held and told once; another one is refused whatever happens, and
// only a pin in the hospital's configuration lets it in.
func TestTheFirstCertificateIsHeld(t *testing.T) {
	x := Target{Asset: "CT", Service: "console-rdp", Protocol: session.RDP, Console: Console{Held: filepath.Join(t.TempDir(), "certificates")}}
	var told []string
	tell := func(s string) { told = append(told, s) }
	first, other := [32]byte{1}, [32]byte{2}
	if says, err := x.knows(first); err != nil || !strings.Contains(says, "the first session holds") {
		t.Fatalf("%q, %v", says, err) // and nothing is held yet
	}
	for range 2 {
		if err := x.meets(first, tell); err != nil {
			t.Fatal(err)
		}
	}
	if len(told) != 1 || !strings.Contains(told[0], "for the first time: sha256:0100") {
		t.Errorf("told %q", told)
	}
	if says, err := x.knows(first); err != nil || !strings.Contains(says, "that is held of it, sha256:0100") {
		t.Errorf("%q, %v", says, err)
	}
	refused := func(what, want string) {
		t.Helper()
		err := x.meets(other, tell)
		if session.KindOf(err) != session.Refused || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("another certificate", "another certificate than before: sha256:0200")
	if _, err := x.knows(other); err == nil {
		t.Error("another certificate is known")
	}
	for _, content := range []string{"", "sha256:ab", strings.Repeat("x", 1000)} {
		if err := os.WriteFile(x.heldFile(), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		refused("an unreadable file", "cannot keep or read")
	}
	x.Console.Pin = "sha256:02" + strings.Repeat("00", 31)
	if _, err := x.knows(other); err != nil {
		t.Errorf("the pin: %v", err)
	}
	if tls, err := x.proves(tell); err != nil || tls.Pin == nil || tls.First != nil {
		t.Errorf("%+v, %v", tls, err)
	}
}
