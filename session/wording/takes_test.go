package wording

import (
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/session"
)

// What passkeys count for is said where they count, and what an approval lacks.
func TestWhatPasskeysCountFor(t *testing.T) {
	for k, want := range map[session.ConsoleKeys]string{"": "", session.KeysNone: "", "x": "", session.KeysInstead: phrases()["keys-instead"], session.KeysBoth: phrases()["keys-both"]} {
		if got := Keys(k); got != want {
			t.Errorf("%q: %q", k, got)
		}
	}
	if got := Lacks("Anna Lind", "passkey"); got != "of Anna Lind their passkey, on the agent's own page at the hospital" {
		t.Errorf("%q", got)
	}
}

// Who chooses a Windows console reads what that takes, and where one looks together.
func TestTakes(t *testing.T) {
	all := []session.Service{{Name: "recon-ssh", Protocol: session.SSH}, {Name: "console-rdp", Protocol: session.RDP, LegacyTLS: true}}
	if got := Takes([]string{"recon-ssh"}, all); got != nil {
		t.Errorf("a shell: %q", got)
	}
	if got := Takes([]string{"console-rdp"}, all); !slices.Equal(got, []string{phrases()["takes"], phrases()["legacy"]}) {
		t.Errorf("a console: %q", got)
	}
	all = append(all, session.Service{Name: "console-vnc", Protocol: session.VNC})
	if got := Takes([]string{"console-rdp"}, all); len(got) != 3 || !strings.HasSuffix(got[1], ": console-vnc.") {
		t.Errorf("beside VNC: %q", got)
	}
}
