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
	first, other := [32]byte{1}, [32]byte{2}
	if says, err := x.knows(first); err != nil || !strings.Contains(says, "the first session holds") {
		t.Fatalf("%q, %v", says, err) // and nothing is held yet
	}
	for _, want := range []session.Known{session.KnownFirst, session.KnownHeld} {
		if known, err := x.meets(first); err != nil || known != want {
			t.Fatalf("%q, %v; want %q", known, err, want)
		}
	}
	if says, err := x.knows(first); err != nil || !strings.Contains(says, "that is held of it, sha256:0100") {
		t.Errorf("%q, %v", says, err)
	}
	refused := func(what, want string, as session.Known) {
		t.Helper()
		known, err := x.meets(other)
		if known != as || session.KindOf(err) != session.Refused || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v", what, known, err)
		}
	}
	refused("another certificate", "another certificate than before: sha256:0200", session.KnownRefused)
	if _, err := x.knows(other); err == nil {
		t.Error("another certificate is known")
	}
	for _, content := range []string{"", "sha256:ab", strings.Repeat("x", 1000)} {
		if err := os.WriteFile(x.heldFile(), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		refused("an unreadable file", "cannot keep or read", "")
	}
	x.Console.Pin = "sha256:02" + strings.Repeat("00", 31)
	if _, err := x.knows(other); err != nil {
		t.Errorf("the pin: %v", err)
	}
	var told []session.Certificate
	tls, err := x.proves(func(c session.Certificate) { told = append(told, c) })
	if err != nil {
		t.Fatal(err)
	}
	if err := tls.First(other); err != nil {
		t.Error(err)
	}
	if err := tls.First(first); session.KindOf(err) != session.Refused || !strings.Contains(err.Error(), "not the pinned one: it is sha256:0100") {
		t.Error(err)
	}
	if len(told) != 2 || told[0].Known != session.KnownPinned || told[1].Known != session.KnownRefused || !told[1].Valid() || told[1].SHA256[:4] != "0100" {
		t.Errorf("told %+v", told)
	}
}
