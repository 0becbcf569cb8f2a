package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/sallyport/sallyport/agent"
	"github.com/sallyport/sallyport/agent/console"
	"github.com/sallyport/sallyport/broker"
	"github.com/sallyport/sallyport/cmd/internal/devidp"
	"github.com/sallyport/sallyport/cmd/internal/world"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/proxy"
)

// cluster is several whole broker nodes behind one store, one vault and one address, and
// an agent that dials each by itself.
type cluster struct {
	*ground
	web, ssh    *front
	issuers     []session.Issuer
	redis       string
	nodes       map[string]*node
	agentConfig string
	agent       *process
	proxy       proxy.Config   // the agent's way out
	notify      *broker.Notify // whom nodes write to
}

// node is one sallyport-broker process.
type node struct {
	*process
	name, config, web, ssh string
}

// front is the one address of all nodes: it leads to the one that it is turned to.
type front struct {
	net.Listener
	to atomic.Value // string
}

func newFront(t *testing.T) *front {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{Listener: ln}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() { f.pass(in) })
		}
	})
	t.Cleanup(func() { _ = ln.Close(); running.Wait() })
	return f
}

func (f *front) addr() string { return f.Addr().String() }

func (f *front) pass(in net.Conn) {
	defer in.Close()
	to, _ := f.to.Load().(string)
	out, err := net.DialTimeout("tcp", to, 5*time.Second)
	if err != nil {
		return
	}
	defer out.Close()
	go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
	_, _ = io.Copy(in, out)
}

// found makes what is around the nodes. more are people of the vendor's.
func found(t *testing.T, more ...devidp.Person) *cluster {
	c := &cluster{ground: newGround(t), web: newFront(t), ssh: newFront(t), nodes: map[string]*node{}}
	c.device()
	store := &redisServer{g: c.ground, addr: freePort(c.ground)}
	store.start()
	t.Cleanup(store.kill)
	c.redis = "redis://" + store.addr + "/0"
	for _, side := range []devidp.Side{devidp.Vendor, devidp.Hospital} {
		srv := httptest.NewUnstartedServer(nil)
		p, err := devidp.New(devidp.Config{Issuer: "http://" + srv.Listener.Addr().String(), Name: side.Name(), People: append(devidp.People(side), more...), Clients: []devidp.Client{
			{ID: "sallyport-cli", Native: true}, {ID: "sallyport-console", Native: true}}})
		if err != nil {
			t.Fatal(err)
		}
		more = nil
		srv.Config.Handler = p
		srv.Start()
		t.Cleanup(srv.Close)
		iss := session.Issuer{URL: p.Issuer(), Side: session.Side(side), Login: "sallyport-cli", InsecureLoopback: true, Domains: []string{"meridian.example"},
			Clients: map[string]session.ClientClass{"sallyport-cli": session.CLI}}
		if side == devidp.Hospital {
			iss.Domains, iss.Clients = []string{"northfield.example"}, map[string]session.ClientClass{"sallyport-console": session.Console}
		}
		c.issuers = append(c.issuers, iss)
	}
	c.ready = world.Ready{Web: "http://" + c.web.addr(), AgentSocket: c.path("state", "agent", "agent.sock"), Personas: map[string]world.Persona{}}
	for who, hint := range people {
		c.ready.Personas[who] = world.Persona{Home: c.path("homes", who), LoginHint: hint}
	}
	return c
}

var people = map[string]string{"engineer": "j.brandt@meridian.example", "approver": "m.okafor@northfield.example", "auditor": "s.adeyemi@northfield.example"}

func (c *cluster) yaml(name string, v any) string {
	c.t.Helper()
	text, err := yaml.Marshal(v)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(c.path(name)), 0o700)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.write(name, string(text))
	return c.path(name)
}

// raiseNode starts a node. All have the first one's CA and jump host key, which their
// operators copied, and the same vault.
func (c *cluster) raiseNode(name string, of *node) *node {
	c.t.Helper()
	n := c.node(name)
	if of != nil {
		c.copyKeys(of, name)
	}
	n.process = c.run(name, "sallyport-broker", "serve", "--config", n.config)
	c.nodes[name] = n
	listens(c.t, n.web)
	listens(c.t, n.ssh)
	return n
}

// node writes the configuration of a node.
func (c *cluster) node(name string) *node {
	c.t.Helper()
	n := &node{name: name, web: freePort(c.ground), ssh: freePort(c.ground)}
	state := c.path("nodes", name)
	cfg := broker.Config{Node: name, URL: "http://" + c.web.addr(), Listen: n.web, State: state, Vault: c.path("vault"),
		SSH: broker.SSH{Listen: n.ssh, Address: c.ssh.addr()}, Redis: broker.Redis{URL: c.redis}, Notify: c.notify}
	for _, iss := range c.issuers {
		cfg.Issuers = append(cfg.Issuers, broker.Issuer{Issuer: iss, Sites: []string{"NGH"}})
	}
	n.config = c.yaml("nodes/"+name+".yaml", cfg)
	return n
}

// copyKeys is what the operators of a further node do.
func (c *cluster) copyKeys(of *node, name string) {
	c.t.Helper()
	state := c.path("nodes", name)
	if err := os.CopyFS(filepath.Join(state, "ca"), os.DirFS(c.path("nodes", of.name, "ca"))); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(state, "ca", "ca.key"), 0o600); err != nil {
		c.t.Fatal(err)
	}
	key, err := os.ReadFile(c.path("nodes", of.name, "ssh_host_ed25519_key"))
	if err != nil {
		c.t.Fatal(err)
	}
	c.write("nodes/"+name+"/ssh_host_ed25519_key", string(key))
}

// run starts a process of ours with a log of its own.
func (c *cluster) run(name, program string, args ...string) *process {
	c.t.Helper()
	out, err := os.OpenFile(c.path(name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr, cmd.Env = out, out, c.env("")
	p, err := launch(cmd)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		p.end()
		_ = out.Close()
		if c.t.Failed() {
			text, _ := os.ReadFile(out.Name())
			c.t.Logf("--- %s\n%s", name, text[max(0, len(text)-8000):])
		}
	})
	return p
}

// turn has the one address lead to a node.
func (c *cluster) turn(n *node) {
	c.web.to.Store(n.web)
	c.ssh.to.Store(n.ssh)
}

// raiseAgent starts the agent, dialling these nodes in this order.
func (c *cluster) raiseAgent(nodes ...*node) {
	c.t.Helper()
	if c.agent != nil {
		c.agent.end()
	}
	cfg := agent.Config{Site: "NGH", Agent: "ngh-1", State: c.path("state", "agent"), Socket: c.ready.AgentSocket, KeepRecordings: "1s", Issuers: c.issuers, Proxy: c.proxy}
	for _, n := range nodes {
		cfg.Nodes = append(cfg.Nodes, agent.Node{Name: n.name, Address: n.web})
	}
	var file struct {
		Assets []agent.Asset `yaml:"assets"`
	}
	raw, err := os.ReadFile(c.path("assets.yaml"))
	if err == nil {
		err = yaml.Unmarshal(raw, &file)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	cfg.Assets = file.Assets
	c.agentConfig = c.yaml("agent.yaml", cfg)
	if c.agent == nil {
		token := strings.TrimSpace(c.as("engineer", "sallyport-broker", "join-token", "--config", nodes[0].config, "--site", "NGH", "--agent", "ngh-1"))
		c.as("engineer", "sallyport-agent", "enrol", "--config", c.agentConfig, "--token", token, "--input-identity", c.path("state", "hospital-input-identity.txt"))
	}
	c.agent = c.run("agent", "sallyport-agent", "serve", "--config", c.agentConfig)
	c.linked()
}

// accept is what the hospital's IT does with what the broker's operators gave.
func (c *cluster) accept(n *node) {
	c.t.Helper()
	var of session.Node
	if err := json.Unmarshal([]byte(c.as("auditor", "sallyport-broker", "log-key", "--json", "--config", n.config)), &of); err != nil {
		c.t.Fatal(err)
	}
	c.as("approver", "sallyport-agent", "trust", "accept", of.Origin, of.Key, "--config", c.agentConfig)
	c.bundle()
}

// bundle hands the trust bundle out, by another way than the broker.
func (c *cluster) bundle() {
	c.t.Helper()
	c.write("trust.json", c.as("approver", "sallyport-agent", "trust", "export", "--config", c.agentConfig))
	for who := range people {
		c.as(who, "sallyport", "trust", "import", c.path("trust.json"))
	}
}

// status is the agent's word of itself, until it says what is wanted.
func (c *cluster) status(what string, want func(console.Status) bool) {
	c.t.Helper()
	until(c.t, what, patience, often, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		st, err := (&console.Client{Socket: c.ready.AgentSocket}).Status(ctx)
		if err == nil && !want(st) {
			err = fmt.Errorf("%+v", st)
		}
		return err
	})
}

// copied waits until the copy of a node's log in the vault has what the log has now.
func (c *cluster) copied(node string) {
	c.t.Helper()
	size := func(note []byte) (n int) {
		if lines := strings.Split(string(note), "\n"); len(lines) > 1 && strings.HasSuffix(lines[0], "/"+node) {
			n, _ = strconv.Atoi(lines[1])
		}
		return n
	}
	most := func(dir string, in func([]byte) []byte) (n int) {
		_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, _ error) error {
			if raw, err := os.ReadFile(path); err == nil {
				n = max(n, size(in(raw)))
			}
			return nil
		})
		return n
	}
	has := most(c.path("nodes", node), func(raw []byte) []byte { return raw })
	if has == 0 {
		c.t.Fatalf("the log of %s has no checkpoint", node)
	}
	until(c.t, "the log of "+node+" is copied", patience, seldom, func() error {
		head := func(raw []byte) []byte {
			var h struct {
				Checkpoint []byte `json:"checkpoint"`
			}
			_ = json.Unmarshal(raw, &h)
			return h.Checkpoint
		}
		if n := most(c.path("vault", ".logs"), head); n < has {
			return fmt.Errorf("%d of %d entries", n, has)
		}
		return nil
	})
}

// pack is a recording's evidence as it is fetched now, checked offline with the bundle.
func (c *cluster) pack(id, name string) string {
	c.t.Helper()
	until(c.t, id+" is whole", patience, seldom, func() error {
		for _, r := range c.recordings() {
			if r.ID == id && r.State == "sealed" {
				return nil
			}
		}
		return errors.New("not yet")
	})
	until(c.t, "the pack of "+id+" proves its place in the audit log", patience, seldom, func() error {
		_ = os.Remove(c.path(name))
		if _, err := c.try("auditor", "sallyport", "recordings", "fetch", id, "--reason", "audit", "--output", c.path(name)); err != nil {
			return err
		}
		out, err := c.try("auditor", "sallyport", "verify", c.path(name))
		if err == nil && !strings.Contains(out, "In the audit log: entry") {
			err = errors.New(out)
		}
		return err
	})
	return c.as("auditor", "sallyport", "verify", c.path(name))
}

// newest is the one recording that was not there before.
func (c *cluster) newest(before []string) string {
	c.t.Helper()
	var id string
	until(c.t, "a new recording is listed", patience, seldom, func() error {
		for _, r := range c.recordings() {
			if !slices.Contains(before, r.ID) {
				id = r.ID
				return nil
			}
		}
		return errors.New("not yet")
	})
	return id
}

func (c *cluster) ids() (all []string) {
	for _, r := range c.recordings() {
		all = append(all, r.ID)
	}
	return all
}

// TestANodeIsLost: an engineer works through one node, the node is lost with its disk, and
// agent, engineer and auditor go on through the other one. The evidence of both counts,
// whichever node hands it out. A third node that the hospital has not accepted is refused
// in words, stands before the others in the agent's configuration, and stops nothing.
func TestANodeIsLost(t *testing.T) {
	t.Parallel()
	c := found(t)
	a := c.raiseNode("a", nil)
	b := c.raiseNode("b", a)
	c.turn(a)
	c.raiseAgent(a, b)
	c.status("the second node is refused", func(s console.Status) bool {
		return len(s.Strangers) == 1 && strings.HasSuffix(s.Strangers[0].Origin, "/b") && len(s.Nodes) == 1
	})
	c.bundle()
	c.accept(b)
	for who, hint := range people {
		c.as(who, "sallyport", "login", "--broker", c.ready.Web, "--hint", hint)
	}
	id := c.granted("NGH-PETCT1", "1h")
	first := c.connect("first", scanner, "once")
	c.ended(first)
	one := c.newest(nil)
	c.pack(one, "one-by-a.pack")
	worker := c.connect("worker", scanner, "drip")
	c.shows(worker, "line 3\n")
	tapes := []string{one, c.newest([]string{one})}
	c.copied("a") // what was not, nobody proves any more

	_ = a.cmd.Process.Signal(syscall.SIGKILL)
	<-a.done
	if err := os.RemoveAll(c.path("nodes", "a")); err != nil { // its disk, too
		t.Fatal(err)
	}
	c.turn(b)
	c.ended(worker)
	c.linked()
	again := c.connect("again", scanner, "drip")
	c.shows(again, "line 3\n")
	if s := c.ground.session(id); s.State != session.Live {
		t.Errorf("the session through the other node is %+v", s)
	}
	again.leave()
	for i, tape := range append(tapes, c.newest(tapes)) {
		out := c.pack(tape, fmt.Sprint(i, "-by-b.pack"))
		t.Logf("%s", out)
		if i == 0 && !strings.Contains(out, c.web.addr()+"/a") {
			t.Errorf("the pack of what the lost node sealed names another log:\n%s", out)
		}
	}
	c.proves(c.tapes(nil), worker)
	c.proves(c.tapes(nil), again)
	c.audited("a", "b")
	c.operatorsRead(b, "a", "b")

	third := c.raiseNode("c", b)
	c.raiseAgent(third, b)
	c.status("the third node is refused in words", func(s console.Status) bool {
		return len(s.Strangers) == 1 && s.Strangers[0].Origin == c.web.addr()+"/c"
	})
	before := c.ids()
	c.granted("NGH-CT2", "10m")
	last := c.connect("last", other, "once")
	c.ended(last)
	out := c.pack(c.newest(before), "last.pack")
	if !strings.Contains(out, c.web.addr()+"/b") {
		t.Errorf("a recording beside a node that is not accepted: %s", out)
	}
	c.turn(third)
	refused, err := c.try("engineer", "sallyport", "request", "new", "NGH-PETCT1/recon-ssh", "--reason", "crash", "--work-order", "WO-2", "--for", "10m")
	if err == nil || !strings.Contains(err.Error(), "has not accepted") || !strings.Contains(err.Error(), "sallyport-agent trust accept") {
		t.Errorf("a request through a node that is not accepted: %s %v", refused, err)
	}
	c.turn(b)
	c.granted("NGH-PETCT1", "20m")
	until(t, "b has seen the third node", patience, seldom, func() error { // nodes look at each other now and then
		raw, err := os.ReadFile(c.path("nodes", "b", "peers.json"))
		if err == nil && !strings.Contains(string(raw), c.web.addr()+"/c") {
			err = errors.New("not yet")
		}
		return err
	})
	if out := c.audited("a", "b"); !strings.Contains(out, c.web.addr()+"/c is of no node") {
		t.Errorf("a log that is not accepted is not said:\n%s", out)
	}
	if err := os.RemoveAll(c.path("vault", ".logs")); err != nil {
		t.Fatal(err)
	}
	out, err = c.try("auditor", "sallyport", "audit", "verify")
	if err == nil || !strings.Contains(out, "NOT CHECKED: the audit log "+c.web.addr()+"/a") || !strings.Contains(out, "The audit log of "+c.web.addr()+"/b has ") {
		t.Errorf("a log that cannot be reached: %s %v", out, err)
	}
	c.operatorsMiss(b, "a")
}

// operatorsRead: whoever runs a node reads there what no hospital's is of all of them.
func (c *cluster) operatorsRead(at *node, names ...string) {
	c.t.Helper()
	read := func(more ...string) string {
		return c.as("auditor", "sallyport-broker", append([]string{"audit", "--config", at.config}, more...)...)
	}
	all := read("--last", "500")
	for _, name := range names {
		origin := c.web.addr() + "/" + name
		if !strings.Contains(all, "\n"+name+"/0 ") || strings.Contains(all, "LEFT OUT") {
			c.t.Errorf("the start of %s is not shown to operators:\n%s", name, all)
		}
		if one := read("--log", origin, "--before", "1"); !strings.Contains(one, "broker-started") || strings.Count(one, "LEFT OUT: the audit log "+c.web.addr()+"/") != len(names)-1 {
			c.t.Errorf("of %s alone:\n%s", name, one)
		}
	}
	last := read("--last", "1")
	for _, name := range names {
		if !strings.Contains(last, "audit --log "+c.web.addr()+"/"+name+" --before ") {
			c.t.Errorf("it is not said where %s goes on:\n%s", name, last)
		}
	}
	if out, err := c.try("auditor", "sallyport-broker", "audit", "--config", at.config, "--before", "1"); err == nil {
		c.t.Errorf("a number of no log: %s", out)
	}
}

// operatorsMiss: what cannot be read is said to be left out.
func (c *cluster) operatorsMiss(at *node, name string) {
	c.t.Helper()
	all := c.as("auditor", "sallyport-broker", "audit", "--config", at.config)
	if !strings.Contains(all, "LEFT OUT: the audit log "+c.web.addr()+"/"+name+", because there is no copy of it") || !strings.Contains(all, at.name+"/") {
		c.t.Errorf("a log that cannot be reached, by its operators:\n%s", all)
	}
}

// audited: whichever node answers, the logs of these nodes are shown, whole and provable.
func (c *cluster) audited(names ...string) string {
	c.t.Helper()
	var tail, verified string
	until(c.t, "all nodes' logs are read", patience, seldom, func() error { // copies are a moment behind
		var err error
		if tail, err = c.try("auditor", "sallyport", "audit", "tail", "--last", "500"); err == nil {
			verified, err = c.try("auditor", "sallyport", "audit", "verify", "--trust", c.path("trust.json"))
		}
		return err
	})
	var number string
	for _, name := range names {
		origin := c.web.addr() + "/" + name
		if !strings.Contains(verified, "The audit log of "+origin+" has ") {
			c.t.Errorf("nothing is said of %s:\n%s", origin, verified)
		}
		event := regexp.MustCompile(`(?m)^` + name + `/[0-9]+`).FindString(tail)
		if event == "" {
			c.t.Fatalf("the events of %s are not shown:\n%s", name, tail)
		}
		if strings.Contains(tail, "\n"+name+"/0 ") {
			c.t.Errorf("the start of %s is no hospital's event, and is shown:\n%s", name, tail)
		}
		number = strings.TrimPrefix(event, name+"/")
		proof := c.path("event-" + name + ".proof")
		c.as("auditor", "sallyport", "audit", "prove", event, "--output", proof)
		if out := c.as("auditor", "sallyport", "verify", proof, "--trust", c.path("trust.json")); !strings.Contains(out, "is in the log") || !strings.Contains(out, origin) {
			c.t.Errorf("event %s: %s", event, out)
		}
	}
	if out, err := c.try("auditor", "sallyport", "audit", "prove", number); err == nil || !strings.Contains(fmt.Sprint(out, err), names[0]+"/"+number) {
		c.t.Errorf("event %s of several logs: %s %v", number, out, err)
	}
	return verified
}

// TestNodesHaveTheSameKeys: a node whose CA or jump host key is not that of the nodes that
// run does not run, and check says so; with the keys copied it does. An agent that is
// revoked at one node is out at all.
func TestNodesHaveTheSameKeys(t *testing.T) {
	t.Parallel()
	c := found(t)
	a := c.raiseNode("a", nil)
	c.turn(a)
	stranger := c.node("b")
	if out := c.as("engineer", "sallyport-broker", "check", "--config", stranger.config); !strings.Contains(out, "can be used") || !strings.Contains(out, "no ca.pem yet") {
		t.Errorf("check of a node that never ran: %s", out)
	}
	for _, try := range []string{"serve", "check", "serve"} { // the first made its keys
		out, err := c.try("engineer", "sallyport-broker", try, "--config", stranger.config)
		if all := fmt.Sprint(out, err); err == nil || !strings.Contains(all, "CA and jump host key are not those of the node a") || !strings.Contains(all, "Copy ca/ and ssh_host_ed25519_key") {
			t.Fatalf("%s with keys of its own: %s %v", try, out, err)
		}
	}
	if err := os.RemoveAll(c.path("nodes", "b")); err != nil {
		t.Fatal(err)
	}
	b := c.raiseNode("b", a)
	if out := c.as("engineer", "sallyport-broker", "check", "--config", b.config); strings.Contains(out, "not compared") {
		t.Errorf("check beside the other nodes: %s", out)
	}
	c.raiseAgent(a, b)
	token := c.as("engineer", "sallyport-broker", "join-token", "--config", a.config, "--site", "NGH", "--agent", "ngh-1")
	if out, err := c.try("engineer", "sallyport-broker", "agents", "revoke", "--config", b.config, "--site", "NGH"); err == nil {
		t.Errorf("an agent without a name is revoked: %s", out)
	}
	if out := c.as("engineer", "sallyport-broker", "agents", "revoke", "--config", b.config, "--site", "NGH", "--agent", "ngh-1"); !strings.Contains(out, "is revoked") {
		t.Errorf("%s", out)
	}
	c.status("the agent is out", func(s console.Status) bool { return !s.Link.Up })
	if out, err := c.try("engineer", "sallyport-agent", "enrol", "--config", c.agentConfig, "--token", strings.TrimSpace(token), "--input-identity", c.path("state", "again.txt")); err == nil {
		t.Errorf("a join token from before the revocation works: %s", out)
	}
}
