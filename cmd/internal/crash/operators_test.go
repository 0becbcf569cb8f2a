package crash

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent/console"
)

// enlisted is an agent as the broker's operators see it.
type enlisted struct {
	Site, Agent, Identity, State, Node string
	Since                              time.Time
	Assets                             []string
}

// agents waits until the one agent is as wanted.
func (c *cluster) agents(n *node, what string, want func(enlisted) bool) (is enlisted) {
	c.t.Helper()
	until(c.t, what, patience, seldom, func() error {
		var all []enlisted
		out := c.as("engineer", "sallyport-broker", "agents", "ls", "-o", "json", "--config", n.config)
		if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 1 || !want(all[0]) {
			return fmt.Errorf("agents ls says %s, %v", out, err)
		}
		is = all[0]
		return nil
	})
	return is
}

func (c *cluster) signIn() {
	c.t.Helper()
	c.bundle()
	for who, hint := range people {
		c.as(who, "sallyport", "login", "--broker", c.ready.Web, "--hint", hint)
	}
}

// TestRulesAreReadAnew: at a signal the agent goes by other rules from the next request on,
// while a session goes on; rules that cannot be used change nothing.
func TestRulesAreReadAnew(t *testing.T) {
	t.Parallel()
	c := found(t)
	a := c.raiseNode("a", nil)
	c.turn(a)
	c.raiseAgent(a)
	c.signIn()
	c.granted("NGH-PETCT1", "1h")
	worker := c.connect("worker", scanner, "drip")
	c.shows(worker, "line 3\n")

	good, err := os.ReadFile(c.agentConfig)
	if err != nil {
		t.Fatal(err)
	}
	for i, bad := range []string{"assets: [", string(good) + "\nodd: 1\n"} {
		c.write("agent.yaml", bad)
		c.hup("refused; the old one goes on", i+1)
	}
	// One scanner goes, and the other asks for two people; nodes wait for a restart.
	rules := strings.Replace(string(good), "name: NGH-CT2", "name: NGH-CT9", 1)
	rules = strings.Replace(rules, `label: ""`, "label: Two eyes", 1)
	rules = strings.Replace(rules, "approvals: 1", "approvals: 2", 1)
	rules = strings.Replace(rules, "keep_recordings: 1s", "keep_recordings: 2s", 1)
	if rules == string(good) || !strings.Contains(rules, "approvals: 2") || !strings.Contains(rules, "NGH-CT9") {
		t.Fatalf("the rules are not others:\n%s", rules)
	}
	c.write("agent.yaml", rules)
	c.hup("the configuration was read anew", 1)
	until(t, "what waits for a restart is said", patience, often, func() error { return c.said("agent", `"parts":["keep_recordings"]`, 1) })
	until(t, "the other scanner is offered", patience, seldom, func() error {
		out := c.as("engineer", "sallyport", "assets", "NGH", "-o", "json")
		if strings.Contains(out, "NGH-CT2") || !strings.Contains(out, "NGH-CT9") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	c.linked()
	out := c.as("engineer", "sallyport", "request", "new", "NGH-PETCT1/recon-ssh", "--reason", "rules", "--work-order", "WO-2", "--for", "10m", "-o", "json")
	var asked struct{ ID string }
	if err := json.Unmarshal([]byte(out), &asked); err != nil || asked.ID == "" {
		t.Fatalf("%s, %v", out, err)
	}
	if out, err := c.try("approver", "sallyport", "approve", asked.ID, "--yes"); !strings.Contains(out, "one more approval needed") {
		t.Errorf("one person's yes: %s, %v", out, err)
	}
	c.shows(worker, "line 12\n") // it went on all the while
}

// hup has the agent read its configuration anew, and waits until it has said something for
// the nth time.
func (c *cluster) hup(says string, times int) {
	c.t.Helper()
	if err := c.agent.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		c.t.Fatal(err)
	}
	until(c.t, says, patience, often, func() error { return c.said("agent", says, times) })
}

func (c *cluster) said(name, words string, times int) error {
	text, err := os.ReadFile(c.path(name + ".log"))
	if err == nil && strings.Count(string(text), words) < times {
		err = fmt.Errorf("%q stands in the log %d times", words, strings.Count(string(text), words))
	}
	return err
}

// TestAnAgentIsReplaced: the agent's machine dies with its disk. Another takes its place
// under its name, by a token that says so; what the old one recorded is as good as before.
func TestAnAgentIsReplaced(t *testing.T) {
	t.Parallel()
	c := found(t)
	a := c.raiseNode("a", nil)
	c.turn(a)
	c.raiseAgent(a)
	c.signIn()
	c.granted("NGH-PETCT1", "1h")
	c.ended(c.connect("first", scanner, "once"))
	tape := c.newest(nil)
	c.pack(tape, "before.pack")
	old := c.agents(a, "the agent is listed as connected", func(l enlisted) bool { return l.State == "connected" && l.Node == "a" && len(l.Assets) > 1 })

	c.agent.end()
	c.agents(a, "the agent is listed as away", func(l enlisted) bool { return l.State == "away" })
	if err := os.RemoveAll(c.path("state", "agent")); err != nil {
		t.Fatal(err)
	}
	name := []string{"--config", a.config, "--site", "NGH", "--agent", "ngh-1"}
	enrol := func(token, input string) (string, error) {
		return c.try("engineer", "sallyport-agent", "enrol", "--config", c.agentConfig, "--token", strings.TrimSpace(token), "--input-identity", c.path("state", input))
	}
	plain := c.as("engineer", "sallyport-broker", append([]string{"join-token"}, name...)...)
	if out, err := enrol(plain, "input-1.txt"); err == nil || !strings.Contains(out+err.Error(), "agents replace") {
		t.Errorf("another machine enrols by a plain token: %s, %v", out, err)
	}
	var r struct{ Token, Replaces string }
	out := c.as("engineer", "sallyport-broker", append([]string{"agents", "replace", "-o", "json"}, name...)...)
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Replaces != old.Identity {
		t.Fatalf("agents replace says %s, %v", out, err)
	}
	if out, err := enrol(r.Token, "input-2.txt"); err != nil {
		t.Fatalf("the new machine does not enrol: %s, %v", out, err)
	}
	c.raiseAgent(a)
	now := c.agents(a, "the new machine is listed", func(l enlisted) bool { return l.State == "connected" && l.Identity != old.Identity })

	c.write("trust.json", c.as("approver", "sallyport-agent", "trust", "export", "--config", c.agentConfig))
	if out, err := c.try("auditor", "sallyport", "trust", "import", c.path("trust.json")); err == nil {
		t.Errorf("another key is taken without a word: %s", out)
	}
	for who := range people {
		c.as(who, "sallyport", "trust", "import", "--replace", c.path("trust.json"))
	}
	if out := c.as("auditor", "sallyport", "verify", c.path("before.pack")); !strings.Contains(strings.ToLower(out), "intact") || strings.Contains(out, "unknown") {
		t.Errorf("a recording of the old machine: %s", out)
	}
	if out := c.as("auditor", "sallyport", "recordings", "verify", tape); strings.Contains(out, "unknown") {
		t.Errorf("fetched anew: %s", out)
	}
	if tail := c.as("auditor", "sallyport", "audit", "tail", "--last", "200", "-o", "json"); !strings.Contains(tail, old.Identity) || !strings.Contains(tail, now.Identity) || !strings.Contains(tail, `"replaces"`) {
		t.Errorf("the audit log does not hold both keys:\n%s", tail)
	}
	c.granted("NGH-PETCT1", "10m")
	c.ended(c.connect("second", scanner, "once"))

	c.as("engineer", "sallyport-broker", append([]string{"agents", "forget"}, name...)...)
	c.status("the agent is out", func(s console.Status) bool { return !s.Link.Up })
	if out := c.as("engineer", "sallyport-broker", "agents", "ls", "--config", a.config); !strings.Contains(out, "No agent") {
		t.Errorf("a forgotten agent is listed: %s", out)
	}
	if out := c.as("engineer", "sallyport", "assets", "-o", "json"); strings.Contains(out, "NGH-PETCT1") {
		t.Errorf("its scanners are offered: %s", out)
	}
	if out := c.as("auditor", "sallyport", "recordings", "verify", tape); strings.Contains(out, "unknown") {
		t.Errorf("a recording of a forgotten agent: %s", out)
	}
}
