package crash

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/session"
)

const (
	scanner    = "recon-ssh.ngh-petct1"
	other      = "recon-ssh.ngh-ct2"
	usualKills = 10 // without SALLYPORT_CRASHES
	shortGrant = 30 * time.Second
)

func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s=%q: %v", name, text, err)
	}
	return n
}

// TestKillAnywhere: whatever dies and whenever, nothing that was shown or sent is
// lost, nothing lives longer than it may, and everything comes back.
func TestKillAnywhere(t *testing.T) {
	t.Parallel()
	seed := number(t, "SALLYPORT_SEED", uint64(time.Now().UnixNano()))
	kills := int(number(t, "SALLYPORT_CRASHES", usualKills))
	t.Logf("SALLYPORT_SEED=%d SALLYPORT_CRASHES=%d", seed, kills)
	g := raise(t, newGround(t))
	r := rand.New(rand.NewPCG(seed, 1))

	killed := g.killedStaysKilled()
	short := g.granted("NGH-CT2", shortGrant.String())
	main := g.granted("NGH-PETCT1", "4h")
	stop := make(chan struct{})
	var stubborn sync.WaitGroup
	stubborn.Go(func() { g.stubborn(stop) })
	stopped := sync.OnceFunc(func() { close(stop); stubborn.Wait() })
	t.Cleanup(stopped)

	var seen tally
	for i := 0; i < kills && !t.Failed(); i++ {
		g.crash(r, i, &seen)
	}
	g.opensAgain("after", main)
	g.deadlineHeld(short)
	stopped()
	g.nothingLeft()
	t.Logf("%d recordings, %d torn; %d bytes shown, %d reached the device", seen.recordings, seen.torn, seen.shown, seen.reached)
	if seen.shown == 0 || seen.reached == 0 || seen.torn == 0 {
		t.Error("nothing was shown, nothing reached the device or nothing was torn: nothing was tested")
	}
	if s := g.session(killed); s.State != session.Ended || s.Reason == nil || *s.Reason != session.KilledLocal {
		t.Errorf("the session that was killed is now %+v", s)
	}
}

// tally is how much a run has seen.
type tally struct{ recordings, torn, shown, reached int }

// plan is what one round does; all of it follows from the seed.
type plan struct {
	flood, broker, again, later, close bool
	wait, second                       time.Duration
}

func draw(r *rand.Rand) plan {
	p := plan{flood: r.IntN(3) == 0, broker: r.IntN(3) == 0, again: r.IntN(4) == 0, later: r.IntN(2) == 0, close: r.IntN(2) == 0}
	p.wait, p.second = time.Duration(r.Int64N(int64(2500*time.Millisecond))), time.Duration(r.Int64N(int64(800*time.Millisecond)))
	return p
}

func (p plan) String() string {
	switch {
	case p.broker:
		return "broker"
	case p.again:
		return "agent twice"
	}
	return "agent"
}

// crash lets people work, kills something at a random moment, waits for the rest and
// compares.
func (g *ground) crash(r *rand.Rand, i int, seen *tally) {
	g.t.Helper()
	g.linked()
	sessions, recs, p := g.sessions(), g.recordings(), draw(r)
	visits := []*visit{g.connect(fmt.Sprintf("drip%d", i), scanner, "drip")}
	if p.flood {
		visits = append(visits, g.connect(fmt.Sprintf("flood%d", i), scanner, "flood"))
	}
	if p.later { // while lines flow; otherwise often in the middle of connecting
		g.shows(visits[0], "line 3\n")
	}
	time.Sleep(p.wait)
	at, orphans := g.strike(p)
	for _, v := range visits {
		if p.broker && p.close {
			v.leave()
		} else {
			g.ended(v)
		}
	}
	g.settled(at, orphans, !p.broker)
	took := time.Since(at)
	g.kept(sessions, recs)
	before := seen.shown
	all := g.tapes(recs)
	for _, v := range visits {
		g.proves(all, v)
		seen.shown += len(v.screen.text())
		seen.reached += len(g.reached(v.name))
	}
	for _, x := range all {
		if seen.recordings++; x.state == "torn" {
			seen.torn++
		}
	}
	g.t.Logf("%3d: %s killed after %s, %d bytes shown, %d recordings on disk, all there after %s",
		i, p, p.wait.Round(time.Millisecond), seen.shown-before, len(orphans), took.Round(100*time.Millisecond))
}

// strike kills what the plan says and returns what was on the agent's disk then.
func (g *ground) strike(p plan) (at time.Time, orphans map[string]bool) {
	g.t.Helper()
	child := "agent"
	if p.broker {
		child = "broker"
	}
	at = g.kill(child, syscall.SIGKILL, func() { orphans = g.orphans() })
	if !p.broker && p.again { // in the middle of recovering
		time.Sleep(p.second)
		at = g.kill("agent", syscall.SIGKILL, func() {})
	}
	return at, orphans
}

// killedStaysKilled: the hospital's kill is final, also when the agent dies at once.
func (g *ground) killedStaysKilled() string {
	g.t.Helper()
	id := g.granted("NGH-CT2", "30m")
	v := g.connect("killed", other, "drip")
	g.shows(v, "line 3\n")
	g.as("engineer", "sallyport-agent", "kill", id, "--socket", g.ready.AgentSocket)
	g.kill("agent", syscall.SIGKILL, func() {})
	g.ended(v)
	g.linked()
	again := g.connect("undead", other, "drip")
	g.ended(again)
	if len(again.screen.text()) > 0 || again.err == nil || len(g.reached("undead")) > 0 {
		g.t.Fatalf("a killed grant opened again:\n%s%s", again.screen.text(), again.stderr.text())
	}
	until(g.t, "the broker knows of the kill", patience, seldom, func() error {
		if s := g.session(id); s.State != session.Ended || s.Reason == nil {
			return fmt.Errorf("it is %s", s.State)
		}
		return nil
	})
	return id
}

func (g *ground) session(id string) api.Session {
	g.t.Helper()
	all := g.sessions()
	i := slices.IndexFunc(all, func(s api.Session) bool { return s.ID == id })
	if i < 0 {
		g.t.Fatalf("session %s is not listed", id)
	}
	return all[i]
}

// opensAgain: after all crashes the same grant still opens, in the same session.
func (g *ground) opensAgain(name, id string) {
	g.t.Helper()
	g.linked()
	v := g.connect(name, scanner, "drip")
	g.shows(v, "line 3\n")
	if s := g.session(id); s.State != session.Live {
		g.t.Errorf("somebody works in session %s, which is %s", id, s.State)
	}
	v.leave()
}

// stubborn connects again and again with a grant of half a minute.
func (g *ground) stubborn(stop <-chan struct{}) {
	for i := 0; ; i++ {
		v := g.connect(fmt.Sprintf("clock%d", i), other, "clock")
		select {
		case <-stop:
			v.leave()
			return
		case <-v.done:
			v.typing.Wait()
		}
		select {
		case <-stop:
			return
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// deadlineHeld: the device was reached by nobody after the deadline, crash or not.
func (g *ground) deadlineHeld(id string) {
	g.t.Helper()
	var s api.Session
	until(g.t, "the short session is over", patience, seldom, func() error {
		if s = g.session(id); s.State != session.Ended || s.Reason == nil || s.Ended == nil {
			return errors.New("it is live")
		}
		return nil
	})
	if *s.Reason != session.OutOfTime || s.Ended.After(s.Deadline.Add(2*time.Second)) {
		g.t.Errorf("the session ended at %s as %s; its deadline was %s", s.Ended, *s.Reason, s.Deadline)
	}
	ticks := 0
	files, err := os.ReadDir(g.path("sshd"))
	if err != nil {
		g.t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".clock") {
			continue
		}
		raw, err := os.ReadFile(g.path("sshd", f.Name()))
		if err != nil {
			g.t.Fatal(err)
		}
		for line := range bytes.Lines(raw) {
			ns, err := strconv.ParseInt(strings.TrimSpace(string(line)), 10, 64)
			if err != nil {
				continue // the last one, cut off
			}
			ticks++
			if at := time.Unix(0, ns); at.After(s.Deadline.Add(2 * time.Second)) {
				g.t.Errorf("%s was on the device at %s; the deadline was %s", f.Name(), at, s.Deadline)
				return
			}
		}
	}
	if ticks == 0 {
		g.t.Error("nobody was on the device before the deadline: nothing was tested")
	}
}

// nothingLeft: in the end every recording has arrived, and the agent's disk is free.
func (g *ground) nothingLeft() {
	g.t.Helper()
	until(g.t, "the spool is empty", promised, seldom, func() error {
		if left := g.orphans(); len(left) > 0 {
			return fmt.Errorf("%v is left", left)
		}
		return nil
	})
	for _, r := range g.recordings() {
		if r.State == "live" {
			g.t.Errorf("%s is listed as live, and nobody is there", r.ID)
		}
	}
}
