package crash

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// volume is a small file system of its own, which a test fills to the last page.
type volume struct {
	t    *testing.T
	dir  string
	stop func()
}

// volume makes one and has a path of the cluster lead to it. It lives in a process of its own,
// through whose root everybody else reaches it.
func (g *ground) volume(mib int, at ...string) *volume {
	g.t.Helper()
	mount := g.path("volume")
	if err := errors.Join(os.MkdirAll(mount, 0o700), os.MkdirAll(filepath.Dir(g.path(at...)), 0o700)); err != nil {
		g.t.Fatal(err)
	}
	own := "-Urm"
	if os.Geteuid() == 0 {
		own = "-m"
	}
	cmd := exec.Command("unshare", own, "sh", "-c", `mount -t tmpfs -o size="$1"m,mode=0700 tmpfs "$0" && echo there && exec sleep infinity`, mount, fmt.Sprint(mib))
	out, err := cmd.StdoutPipe()
	if err != nil {
		g.t.Fatal(err)
	}
	problem := &screen{}
	cmd.Stderr = problem
	holder, err := launch(cmd)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(holder.end)
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "there\n" {
		g.t.Fatalf("This test fills a file system of its own and may not mount one here: %s\nRun it as root, or where users may have namespaces of their own (unshare -Urm).", problem.text())
	}
	v := &volume{t: g.t, dir: fmt.Sprintf("/proc/%d/root%s", cmd.Process.Pid, mount)}
	if err := os.Symlink(v.dir, g.path(at...)); err != nil {
		g.t.Fatal(err)
	}
	return v
}

// fill takes all that is free, and what becomes free, until release.
func (v *volume) fill() {
	v.t.Helper()
	ballast, err := os.Create(filepath.Join(v.dir, "ballast"))
	if err != nil {
		v.t.Fatal(err)
	}
	grab := func() error {
		for size := 1 << 20; ; {
			switch _, err := ballast.Write(make([]byte, size)); {
			case err == nil:
			case !errors.Is(err, syscall.ENOSPC):
				return err
			case size == 1<<12:
				return nil
			default:
				size = 1 << 12
			}
		}
	}
	if err := grab(); err != nil {
		v.t.Fatal(err)
	}
	over := make(chan struct{})
	var taking sync.WaitGroup
	taking.Go(func() {
		for {
			select {
			case <-over:
				return
			case <-time.After(time.Millisecond):
				_ = grab()
			}
		}
	})
	v.stop = sync.OnceFunc(func() { close(over); taking.Wait(); _ = ballast.Close() })
	v.t.Cleanup(v.stop)
}

// still leaves the file system as full as it is, and takes nothing more of it.
func (v *volume) still() {
	v.t.Helper()
	v.stop()
	f, err := os.OpenFile(filepath.Join(v.dir, "ballast"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		v.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, 1<<12)); !errors.Is(err, syscall.ENOSPC) {
		v.t.Fatalf("the file system is not full: %v", err)
	}
}

func (v *volume) release() {
	v.t.Helper()
	v.stop()
	if err := os.Remove(filepath.Join(v.dir, "ballast")); err != nil {
		v.t.Fatal(err)
	}
}

// promisedTimes is how many times as long as promised something may take beside other tests.
func promisedTimes() time.Duration {
	if os.Getenv("SALLYPORT_PROVE") != "" {
		return 1
	}
	return 20
}

// The file system of a running agent is really full. Sessions end with the reason and
// nothing unrecorded; kill --all and freeze still get onto the disk, by its reserve, and hold
// over a restart there. When there is room again, recordings are sealed and whole.
func TestTheAgentsDiskIsFull(t *testing.T) {
	t.Parallel()
	c := found(t)
	v := c.volume(96, "state", "agent")
	c.ready.AgentSocket = c.path("agent.sock")
	a := c.raiseNode("a", nil)
	c.turn(a)
	c.raiseAgent(a)
	c.signIn()
	id := c.granted("NGH-PETCT1", "1h")
	c.granted("NGH-CT2", "1h") // which nobody opens
	visits := []*visit{c.connect("drip", scanner, "drip"), c.connect("flood", scanner, "flood")}
	c.shows(visits[0], "line 3\n")
	c.shows(visits[1], "\n1000\n")

	v.fill()
	began := time.Now()
	for _, one := range visits {
		c.ended(one)
		if why := string(one.stderr.text()); !strings.Contains(why, "can no longer be recorded") && !strings.Contains(why, "disk of the hospital's agent is full") {
			t.Errorf("%s was told: %q", one.name, why)
		}
	}
	cut := time.Since(began)
	c.shut("hole", scanner, other)
	v.still()
	timed := func(args ...string) time.Duration {
		began := time.Now()
		out := c.as("engineer", "sallyport-agent", append(args, "--socket", c.ready.AgentSocket)...)
		t.Logf("%v: %s", args, out)
		return time.Since(began)
	}
	freeze, kill := timed("freeze", "--asset", "NGH-CT2"), timed("kill", "--all")
	if limit := promisedTimes() * time.Second; max(cut, freeze, kill) > limit {
		t.Errorf("cut off after %v, frozen after %v, killed after %v; at most %v is promised", cut, freeze, kill, limit)
	}
	c.agent.end()
	c.agent = c.run("agent", "sallyport-agent", "serve", "--config", c.agentConfig)
	c.linked()
	c.shut("killed", scanner, other)

	at, orphans := time.Now(), c.orphans()
	v.release()
	c.endsFor(id, session.RecorderLost)
	c.settled(at, orphans, false)
	c.shut("after", scanner, other)
	if out := c.as("engineer", "sallyport-agent", "status", "--socket", c.ready.AgentSocket); !strings.Contains(out, "NGH-CT2") {
		t.Errorf("the frozen scanner is not shown: %s", out)
	}
	tapes := c.tapes(nil)
	for _, one := range visits {
		c.proves(tapes, one)
	}
	t.Logf("ATTACK | the agent's file system is really full while people work | cut off, frozen, killed <= %v, also over a restart; no byte unrecorded | %v, %v, %v | holds",
		promisedTimes()*time.Second, cut.Round(time.Millisecond), freeze.Round(time.Millisecond), kill.Round(time.Millisecond))
}

// The file system of a broker's state is really full, and whoever fills it takes every page
// that becomes free, its reserve too. Kill, freeze, revoke and deny are answered and done;
// what needs the log first is refused; it is not ready. When there is room again, the log
// repairs itself and has each of them, once and in order.
func TestTheBrokersDiskIsFull(t *testing.T) {
	t.Parallel()
	c := found(t)
	v := c.volume(192, "nodes", "a") // below 128 MiB free it is not ready
	a := c.raiseNode("a", nil)
	c.turn(a)
	c.raiseAgent(a)
	c.signIn()
	frozen := c.granted("NGH-PETCT1", "1h")
	revoked := c.granted("NGH-CT2", "1h")
	denied := c.asked("NGH-PETCT1")
	one := c.connect("one", scanner, "drip")
	c.shows(one, "line 3\n")
	if status, text := c.readiness(); status != http.StatusOK {
		t.Fatalf("before: %d %s", status, text)
	}

	v.fill()
	until(t, "the broker is not ready", patience, often, func() error {
		if status, text := c.readiness(); status != http.StatusServiceUnavailable || !strings.Contains(text, "disk of the audit log failed") {
			return fmt.Errorf("%d %s", status, text)
		}
		return nil
	})
	// What needs the log first is refused, or found room in its last page and is there.
	taken, refused := c.try("engineer", "sallyport", "request", "new", "NGH-CT2/recon-ssh", "--reason", "crash", "--work-order", "WO-3", "--for", "10m", "-o", "json")
	longest := time.Duration(0)
	do := func(args ...string) {
		t.Helper()
		began := time.Now()
		c.as("approver", "sallyport", args...)
		longest = max(longest, time.Since(began))
	}
	do("deny", denied, "--reason", "Not today")
	do("revoke", revoked, "--reason", "Wrong scanner")
	do("sessions", "freeze", frozen)
	until(t, "the session is frozen", patience, seldom, func() error {
		if s := c.session(frozen); s.State != session.Frozen {
			return fmt.Errorf("it is %s", s.State)
		}
		return nil
	})
	do("sessions", "kill", frozen)
	c.ended(one)
	if limit := promisedTimes() * 5 * time.Second; longest > limit {
		t.Errorf("one of them took %v; at most %v is promised", longest, limit)
	}
	c.shut("hole", scanner, other)
	if status, text := c.readiness(); status != http.StatusServiceUnavailable {
		t.Errorf("while it is full: %d %s", status, text)
	}

	v.release()
	until(t, "the broker is ready", patience, often, func() error {
		if status, text := c.readiness(); status != http.StatusOK {
			return fmt.Errorf("%d %s", status, text)
		}
		return nil
	})
	want := []string{witness.Denied, witness.Revoked, witness.Froze, witness.SessionKilled}
	until(t, "the log has what it was owed", patience, seldom, func() error {
		if got := c.narrowed(want); !slices.Equal(got, want) {
			return fmt.Errorf("it has %v, in this order, and not %v", got, want)
		}
		return nil
	})
	c.endsFor(frozen, session.KilledRemote)
	if out := c.as("auditor", "sallyport", "audit", "tail", "--last", "500", "-o", "json"); refused == nil && !strings.Contains(out, idOf(t, taken)) {
		t.Errorf("the request %s was taken and is not in the log", taken)
	}
	if out := c.as("auditor", "sallyport", "audit", "verify", "--trust", c.path("trust.json")); !strings.Contains(out, "their hashes make the root that it signed") {
		t.Errorf("%s", out)
	}
	c.granted("NGH-CT2", "10m")
	t.Logf("ATTACK | the broker's file system is really full, its reserve is taken too; then kill, freeze, revoke, deny | each answered <= %v, not ready meanwhile; in the log once and in order when there is room | %v | holds",
		promisedTimes()*5*time.Second, longest.Round(time.Millisecond))
}

// asked is a request that waits for an answer.
func (g *ground) asked(asset string) string {
	g.t.Helper()
	return idOf(g.t, g.as("engineer", "sallyport", "request", "new", asset+"/recon-ssh", "--reason", "crash", "--work-order", "WO-2", "--for", "10m", "-o", "json"))
}

func idOf(t *testing.T, out string) string {
	t.Helper()
	var v struct{ ID string }
	if err := json.Unmarshal([]byte(out), &v); err != nil || v.ID == "" {
		t.Fatalf("%v: %s", err, out)
	}
	return v.ID
}

// readiness is what whoever sends people to the nodes asks.
func (c *cluster) readiness() (int, string) {
	c.t.Helper()
	a, err := (&http.Client{Timeout: 10 * time.Second}).Get(c.ready.Web + "/readyz?verbose")
	if err != nil {
		return 0, err.Error()
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	return a.StatusCode, fmt.Sprint(string(text), err)
}

// narrowed is which of these events the log has, in its order.
func (c *cluster) narrowed(of []string) (got []string) {
	c.t.Helper()
	type entry struct {
		Event string `json:"event"`
		Seq   int64  `json:"index"`
	}
	var all []entry
	out := c.as("auditor", "sallyport", "audit", "tail", "--last", "500", "-o", "json")
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		c.t.Fatalf("%v: %s", err, out)
	}
	slices.SortFunc(all, func(a, b entry) int { return int(a.Seq - b.Seq) })
	for _, e := range all {
		if slices.Contains(of, e.Event) {
			got = append(got, e.Event)
		}
	}
	return got
}
