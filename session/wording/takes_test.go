package wording

import (
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/session"
)

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
