package crash

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
)

// redisServer is a real server that can be gone for a while.
type redisServer struct {
	g    *ground
	addr string
	run  *process
}

func (s *redisServer) start() {
	s.g.t.Helper()
	_, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		s.g.t.Fatal(err)
	}
	cmd := exec.Command("redis-server", "--bind", "127.0.0.1", "--port", port, "--dir", s.g.dir, "--appendonly", "yes", "--appendfsync", "always", "--save", "")
	if s.run, err = launch(cmd); err != nil {
		s.g.t.Fatalf("start redis-server (.ci/peers installs it): %v", err)
	}
	listens(s.g.t, s.addr)
}

func (s *redisServer) kill() {
	_ = s.run.cmd.Process.Signal(syscall.SIGKILL)
	<-s.run.done
}

// TestStoreIsGoneForAWhile: without the store nothing new begins and everybody is
// told so plainly; what lives goes on to its deadline, also over a restart of the
// agent; and when the store is back all is as before, without a restart.
func TestStoreIsGoneForAWhile(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	store := &redisServer{g: g, addr: freePort(g)}
	store.start()
	t.Cleanup(store.kill)
	raise(t, g, "--redis", "redis://"+store.addr+"/0")
	before, err := g.published()
	if err != nil {
		t.Fatal(err)
	}
	long := g.granted("NGH-PETCT1", "1h")
	short := g.granted("NGH-CT2", "15s")
	worker, clock := g.connect("worker", scanner, "drip"), g.connect("clock", other, "clock")
	g.shows(worker, "line 3\n")
	g.shows(clock, "tick\n")
	deadline := g.session(short).Deadline
	sessions, recs := g.sessions(), g.recordings()

	store.kill()
	g.nothingNew()
	lines := strings.Count(string(worker.screen.text()), "\n")
	g.shows(worker, fmt.Sprintf("line %d\n", lines+50))
	until(t, "the short session runs to its end", time.Until(deadline.Add(10*time.Second)), often, func() error {
		if !clock.over() {
			return fmt.Errorf("it goes on")
		}
		return nil
	})
	if early := time.Until(deadline); early > time.Second {
		t.Errorf("a session ended %s before its deadline because the store was gone", early)
	}
	var orphans map[string]bool
	g.kill("agent", syscall.SIGKILL, func() { orphans = g.orphans() })
	g.ended(worker)
	g.linked() // the broker takes its agents in without the store

	store.start()
	back := time.Now()
	g.settled(back, orphans, true)
	g.kept(sessions, recs)
	g.opensAgain("again", long)
	g.deadlineHeld(short)
	all := g.tapes(nil)
	g.proves(all, worker)
	g.proves(all, clock)
	after, err := g.published()
	if err != nil {
		t.Fatal(err)
	}
	if after.PIDs["broker"] != before.PIDs["broker"] {
		t.Error("the broker had to be started again")
	}
}

// nothingNew: what needs the store is refused in words for people.
func (g *ground) nothingNew() {
	g.t.Helper()
	v := g.connect("refused", scanner, "drip")
	g.ended(v)
	if len(v.screen.text()) > 0 || len(g.reached("refused")) > 0 {
		g.t.Error("a connection was opened without the store")
	}
	_, err := g.try("engineer", "sallyport", "request", "new", "NGH-CT2/recon-ssh", "--reason", "crash", "--work-order", "WO-1", "--for", "10m")
	if err == nil || !strings.Contains(err.Error(), "store did not answer") {
		g.t.Errorf("a request without the store is answered: %v", err)
	}
	for _, text := range []string{fmt.Sprint(err), string(v.stderr.text())} {
		for _, detail := range []string{"dial tcp", "connection refused", "redis", "EOF"} {
			if strings.Contains(text, detail) {
				g.t.Errorf("people read %q:\n%s", detail, text)
			}
		}
	}
	if !strings.Contains(string(v.stderr.text()), "store did not answer") {
		g.t.Errorf("ssh says: %s", v.stderr.text())
	}
}

// TestStopping: an agent that is stopped tells its people and seals what they did; a
// broker that is stopped ends streams and nothing else.
func TestStopping(t *testing.T) {
	t.Parallel()
	g := raise(t, newGround(t))
	id := g.granted("NGH-PETCT1", "1h")
	worker := g.connect("worker", scanner, "drip")
	g.shows(worker, "line 3\n")
	var orphans map[string]bool
	began := time.Now()
	g.kill("agent", syscall.SIGTERM, func() {})
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("the agent took %s to stop", took)
	}
	g.ended(worker)
	if told := string(worker.screen.text()) + string(worker.stderr.text()); !strings.Contains(told, "agent is stopping") {
		t.Errorf("the engineer was told: %s", told)
	}
	g.linked()
	g.settled(time.Now(), g.orphans(), false)
	until(t, "the recording is sealed", promised, seldom, func() error {
		all := g.recordings()
		if len(all) != 1 || all[0].State != "sealed" {
			return fmt.Errorf("%+v", all)
		}
		return nil
	})

	next := g.connect("next", scanner, "drip")
	g.shows(next, "line 3\n")
	began = time.Now()
	g.kill("broker", syscall.SIGTERM, func() { orphans = g.orphans() })
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("the broker took %s to stop", took)
	}
	g.ended(next)
	g.linked()
	g.settled(time.Now(), orphans, false)
	if s := g.session(id); s.State != session.Live || len(s.Recordings) != 2 {
		t.Errorf("after the broker's restart the session is %+v", s)
	}
	g.opensAgain("third", id)
	g.proves(g.tapes(nil), next)
}

// TestVisitsLeaveNothingOpen: connections that come and go leave no descriptor behind,
// neither at the agent nor at the broker.
func TestVisitsLeaveNothingOpen(t *testing.T) {
	t.Parallel()
	g := raise(t, newGround(t))
	g.granted("NGH-PETCT1", "1h")
	round := func(name string) {
		var visits []*visit
		for i := range 4 {
			visits = append(visits, g.connect(fmt.Sprintf("%s-%d", name, i), scanner, "once"))
		}
		for _, v := range visits {
			g.ended(v)
			if !strings.Contains(string(v.screen.text()), "connection "+v.name) {
				t.Errorf("ssh %s: %v: %s", v.name, v.err, v.stderr.text())
			}
		}
	}
	round("first")
	g.nothingLeft()
	before := g.descriptors()
	for i := range int(number(t, "SALLYPORT_CRASHES", usualKills)) / 2 { // 6 of 4 usually, 240 visits to prove
		round(fmt.Sprint("round", i))
	}
	g.nothingLeft()
	until(t, "the descriptors are given back", patience, seldom, func() error {
		for child, n := range g.descriptors() {
			if n > before[child]+4 { // spares and idle connections come and go
				return fmt.Errorf("the %s had %d open and has %d", child, before[child], n)
			}
		}
		return nil
	})
}

// descriptors counts the open files of agent and broker.
func (g *ground) descriptors() map[string]int {
	g.t.Helper()
	ready, err := g.published()
	if err != nil {
		g.t.Fatal(err)
	}
	open := map[string]int{}
	for _, child := range []string{"agent", "broker"} {
		list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", ready.PIDs[child]))
		if err != nil {
			g.t.Fatal(err)
		}
		open[child] = len(list)
	}
	return open
}
