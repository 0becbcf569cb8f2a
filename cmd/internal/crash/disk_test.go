package crash

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/session"
)

// The disk of a running agent takes no byte any more, not of a recording, of its ledger or
// of its log. Whoever works is cut off at once and told why, a freeze and a kill hold, and
// nothing opens, also after a restart. When the disk takes bytes again, what ended stays
// ended, and all that reached somebody is on record.
func TestTheAgentsDiskBreaks(t *testing.T) {
	t.Parallel()
	patient := promisedTimes()
	c := found(t)
	a := c.raiseNode("a", nil)
	c.turn(a)
	c.raiseAgent(a)
	c.signIn()
	id := c.granted("NGH-PETCT1", "1h")
	c.granted("NGH-CT2", "1h") // which nobody opens
	visits := []*visit{c.connect("drip", scanner, "drip"), c.connect("flood", scanner, "flood")}
	c.shows(visits[0], "line 3\n")
	c.shows(visits[1], "\n1000\n")

	c.fileLimit(0)
	began := time.Now()
	for _, v := range visits {
		c.ended(v)
		if why := string(v.stderr.text()); !strings.Contains(why, "can no longer be recorded") {
			t.Errorf("%s was told: %q", v.name, why)
		}
	}
	cut := time.Since(began)
	freeze := c.inVain("It is frozen while this agent runs, but the disk has not taken that", "freeze", "--asset", "NGH-CT2")
	kill := c.inVain("nothing of it opens while this agent runs, but the disk has not taken all of it", "kill", "--all")
	if limit := patient * time.Second; max(cut, freeze, kill) > limit {
		t.Errorf("cut off after %v, frozen after %v, killed after %v; at most %v is promised", cut, freeze, kill, limit)
	}
	c.shut("hole", scanner, other)

	c.fileLimit(unix.RLIM_INFINITY)
	at, orphans := time.Now(), c.orphans()
	c.endsFor(id, session.RecorderLost)
	c.as("engineer", "sallyport-agent", "kill", "--all", "--socket", c.ready.AgentSocket)
	c.raiseAgent(a)
	c.shut("killed", scanner, other)
	c.endsFor(id, session.RecorderLost)
	c.settled(at, orphans, false)
	tapes := c.tapes(nil)
	for _, v := range visits {
		c.proves(tapes, v)
	}
	c.startsBroken(a)
	t.Logf("ATTACK | the disk of an agent takes no byte any more while people work, and when it starts | cut off, frozen, killed <= %v; no byte unrecorded; nothing opens | %v, %v, %v | holds",
		patient*time.Second, cut.Round(time.Millisecond), freeze.Round(time.Millisecond), kill.Round(time.Millisecond))
}

// startsBroken: an agent that is started on such a disk lets nobody in, and one that is
// started on a good one does.
func (c *cluster) startsBroken(a *node) {
	c.t.Helper()
	c.granted("NGH-CT2", "1h")
	c.agent.end()
	c.agent = c.run("agent", "sh", "-c", `ulimit -f 0 && exec sallyport-agent serve --config "$0"`, c.agentConfig)
	c.linked()
	c.shut("broken", other)
	c.raiseAgent(a)
	v := c.connect("well", other, "drip")
	c.shows(v, "line 3\n")
	v.leave()
}

// endsFor waits until the broker has heard that a session ended, and why.
func (c *cluster) endsFor(id string, reason session.EndReason) {
	c.t.Helper()
	until(c.t, "the session is over", patience, seldom, func() error {
		s := c.session(id)
		if s.State != session.Ended || s.Reason == nil {
			return fmt.Errorf("it is %s", s.State)
		}
		if *s.Reason != reason {
			c.t.Fatalf("it ended as %s, not as %s", *s.Reason, reason)
		}
		return nil
	})
}

// fileLimit is the size beyond which no file of the running agent can be written any more.
func (c *cluster) fileLimit(size uint64) {
	c.t.Helper()
	if err := unix.Prlimit(c.agent.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: unix.RLIM_INFINITY}, nil); err != nil {
		c.t.Fatal(err)
	}
}

// inVain is a verb at the agent's socket that its disk does not take: it says so.
func (c *cluster) inVain(says string, args ...string) time.Duration {
	c.t.Helper()
	began := time.Now()
	out, err := c.try("engineer", "sallyport-agent", append(args, "--socket", c.ready.AgentSocket)...)
	if err == nil || !strings.Contains(err.Error(), says) {
		c.t.Errorf("%v on a broken disk: %s, %v", args, out, err)
	}
	return time.Since(began)
}

// shut: nobody gets in, and nothing reaches a device.
func (c *cluster) shut(name string, hosts ...string) {
	c.t.Helper()
	for i, host := range hosts {
		v := c.connect(fmt.Sprint(name, i), host, "drip")
		c.ended(v)
		if got := c.reached(v.name); len(got) > 0 || v.err == nil || len(v.screen.text()) > 0 {
			c.t.Errorf("%s opened: %d bytes reached it; %s", host, len(got), v.screen.text())
		}
	}
}
