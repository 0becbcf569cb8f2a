//go:build unix

package brokercmd

import (
	"encoding/json"
	"strings"
	"testing"
)

// Before any agent came there is nothing to list, replace or forget, and it is said.
func TestVerbsAboutAgentsThatNobodyKnows(t *testing.T) {
	x := install(t)
	x.run(0, "log-key")
	if out := x.run(0, "agents", "ls"); !strings.Contains(out, "No agent has announced itself yet") {
		t.Errorf("%s", out)
	}
	var all []agentView
	if out := x.run(0, "agents", "ls", "-o", "json"); json.Unmarshal([]byte(out), &all) != nil || all == nil || len(all) != 0 {
		t.Errorf("%s", out)
	}
	for _, verb := range []string{"replace", "forget"} {
		out, err := x.command(0, "agents", verb, "--site", "NGH", "--agent", "ngh-1").CombinedOutput()
		if err == nil || !strings.Contains(string(out), "There is no agent ngh-1 of site NGH") || !strings.Contains(string(out), "agents ls") {
			t.Errorf("%s: %v, %s", verb, err, out)
		}
		out, err = x.command(0, "agents", verb, "--site", "NGH").CombinedOutput()
		if err == nil || !strings.Contains(string(out), "sallyport-broker agents "+verb+" --site NGH --agent ngh-1") {
			t.Errorf("%s without a name: %v, %s", verb, err, out)
		}
	}
	x.owned()
}
