package main

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/api"
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

// Half an approval is said where a request stands, though it counts for none.
func TestWhereHalfAnApprovalStands(t *testing.T) {
	p := &program{}
	r := api.Request{Status: session.Pending, Site: "NGH", Needed: 1, Missing: []string{}}
	if got := p.whereItStands(r); got != "NGH has not answered yet." {
		t.Errorf("%q", got)
	}
	r.Halves = []access.Half{{By: session.Person{Identity: session.Identity{Iss: "https://idp.ngh.example", Sub: "anna"}}, Lacks: "passkey"}}
	if got := p.whereItStands(r); !strings.Contains(got, "still needed: of anna") || !strings.Contains(got, "their passkey, on the agent's own page") {
		t.Errorf("%q", got)
	}
}
