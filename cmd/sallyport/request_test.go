package main

import (
	"testing"

	"github.com/sallyport/sallyport/session"
)

// A person is told the command that opens what was approved.
func TestWhatReachesAConsole(t *testing.T) {
	for _, p := range session.Protocols() {
		want := "ssh"
		if p.Shows() {
			want = "connect"
		}
		for _, c := range p.Channels() {
			if got := reaching([]session.Channel{c}); got != want {
				t.Errorf("%s over %s: sallyport %s", c, p, got)
			}
		}
	}
	if reaching(nil) != "ssh" {
		t.Error("nothing is reached by another command")
	}
}
