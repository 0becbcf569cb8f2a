package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent/console"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/cmd/internal/home"
	"github.com/sallyport/sallyport/cmd/internal/world"
)

// TestMain builds the three real binaries with the race detector in them; where times are
// proved, as they are shipped.
func TestMain(m *testing.M) {
	if !pretend() {
		os.Exit(withBinaries(m))
	}
}

func withBinaries(m *testing.M) int {
	dir, err := os.MkdirTemp("", "crash-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", fmt.Sprintf("-race=%v", os.Getenv("SALLYPORT_PROVE") == ""), "-o", dir+"/", "../../sallyport", "../../sallyport-agent", "../../sallyport-broker")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the binaries: %v\n%s", err, out)
		return 1
	}
	os.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	flag.Parse()
	if err := flag.Set("test.parallel", "5"); err != nil { // the tests wait more than they work
		panic(err)
	}
	return m.Run()
}

// patience bounds whatever is not promised a time of its own.
const patience = 90 * time.Second

// ground is one demonstration with a real sshd for a device.
type ground struct {
	t     *testing.T
	dir   string
	ready world.Ready
	demo  *process
}

// Pauses between two looks; the broker bounds how often it may be asked.
const (
	often  = 20 * time.Millisecond
	seldom = 400 * time.Millisecond
)

// until tries something until it succeeds or the time is over.
func until(t *testing.T, what string, limit, pause time.Duration, try func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s, not within %s: %v", what, limit, err)
		}
		time.Sleep(pause)
	}
}

// process is something that runs beside the test.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

func launch(cmd *exec.Cmd) (*process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.err = cmd.Wait()
	}()
	return p, nil
}

func (p *process) over() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// end asks and then insists.
func (p *process) end() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

func newGround(t *testing.T) *ground { return &ground{t: t, dir: t.TempDir()} }

// raise starts the device and the demonstration and signs everybody in.
func raise(t *testing.T, g *ground, more ...string) *ground {
	g.device()
	ready := g.path("ready.json")
	cmd := exec.Command("sallyport", append([]string{"demo", "--state", g.path("state"), "--ready", ready, "--agent-config", g.path("assets.yaml"),
		"--web", "127.0.0.1:0", "--ssh", "127.0.0.1:0"}, more...)...)
	cmd.Env = g.env("")
	var err error
	if g.demo, err = launch(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.demo.end()
		if t.Failed() {
			t.Logf("%s", g.logs())
		}
	})
	until(t, "the demonstration is ready", patience, often, func() error {
		if g.demo.over() {
			t.Fatalf("the demonstration ended: %v\n%s", g.demo.err, g.logs())
		}
		var err error
		g.ready, err = g.published()
		return err
	})
	for who, hint := range map[string]string{
		"engineer": "j.brandt@meridian.example", "approver": "m.okafor@northfield.example", "auditor": "s.adeyemi@northfield.example",
	} {
		g.as(who, "sallyport", "login", "--hint", hint)
	}
	return g
}

func (g *ground) path(parts ...string) string {
	return filepath.Join(append([]string{g.dir}, parts...)...)
}

// published is the ready file as it stands. g.ready never changes once all is up.
func (g *ground) published() (ready world.Ready, err error) {
	raw, err := os.ReadFile(g.path("ready.json"))
	if err != nil {
		return ready, err
	}
	return ready, json.Unmarshal(raw, &ready)
}

func (g *ground) env(homeDir string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + g.dir, "BROWSER=curl -sSLo /dev/null", "NO_COLOR=1", "SALLYPORT_HOME=" + homeDir,
	}
}

func (g *ground) logs() string {
	var all strings.Builder
	for _, name := range []string{"broker", "agent"} {
		raw, _ := os.ReadFile(g.path("state", "logs", name+".log"))
		fmt.Fprintf(&all, "--- %s.log\n%s", name, raw[max(0, len(raw)-20000):])
	}
	return all.String()
}

// try runs a command as somebody and returns what it printed. Who is told to wait a moment does.
func (g *ground) try(who, name string, args ...string) (out string, err error) {
	for end := time.Now().Add(patience); ; time.Sleep(seldom) {
		out, err = g.once(who, name, args...)
		if err == nil || !strings.Contains(err.Error(), "too much in a short time") || time.Now().After(end) {
			return out, err
		}
	}
}

func (g *ground) once(who, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = g.dir, g.env(g.ready.Personas[who].Home)
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("%s %v: %w: %s", name, args, err, problem.String())
	}
	return out.String(), err
}

func (g *ground) as(who, name string, args ...string) string {
	g.t.Helper()
	out, err := g.try(who, name, args...)
	if err != nil {
		g.t.Fatal(err)
	}
	return out
}

// granted makes engineer and approver agree and returns the session's id.
func (g *ground) granted(asset, longest string) string {
	g.t.Helper()
	field := func(text, name string) string {
		var v map[string]any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			g.t.Fatal(err)
		}
		s, ok := v[name].(string)
		if !ok {
			g.t.Fatalf("no %s in %s", name, text)
		}
		return s
	}
	request := field(g.as("engineer", "sallyport", "request", "new", asset+"/recon-ssh", "--reason", "crash", "--work-order", "WO-1", "--for", longest, "-o", "json"), "id")
	g.as("approver", "sallyport", "approve", request, "--yes")
	return field(g.as("approver", "sallyport", "request", "show", request, "-o", "json"), "grant")
}

// asks is the broker's API as somebody uses it.
func (g *ground) asks(who string) *client.Client {
	g.t.Helper()
	at, err := home.Find(func(string) string { return g.ready.Personas[who].Home })
	if err != nil {
		g.t.Fatal(err)
	}
	login, ok, err := at.Session()
	if err != nil || !ok {
		g.t.Fatalf("%s is not signed in: %v", who, err)
	}
	return client.New(client.Config{Broker: g.ready.Web, Token: login.Token, Agent: "crash"})
}

// linked waits until the agent serves and has its broker.
func (g *ground) linked() {
	g.t.Helper()
	until(g.t, "the agent is connected to the broker", patience, often, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		st, err := (&console.Client{Socket: g.ready.AgentSocket}).Status(ctx)
		if err == nil && !st.Link.Up {
			err = errors.New("the link is down")
		}
		return err
	})
}

// kill sends the agent or the broker a signal that ends it. It returns once a new
// process runs.
func (g *ground) kill(child string, sig syscall.Signal, atOnce func()) time.Time {
	g.t.Helper()
	ready, err := g.published()
	if err != nil {
		g.t.Fatal(err)
	}
	old := ready.PIDs[child]
	if err := syscall.Kill(old, sig); err != nil {
		g.t.Fatalf("kill the %s: %v", child, err)
	}
	at := time.Now()
	atOnce()
	until(g.t, "the "+child+" runs again", patience, often, func() error {
		ready, err := g.published()
		if err == nil && ready.PIDs[child] == old {
			err = errors.New("not yet")
		}
		return err
	})
	return at
}

// listens waits for a TCP port.
func listens(t *testing.T, addr string) {
	t.Helper()
	until(t, addr+" listens", patience, often, func() error {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", addr)
		if err == nil {
			err = conn.Close()
		}
		return err
	})
}
