package stories

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/cmd/internal/simulator"
	"github.com/sallyport/sallyport/cmd/internal/world"
	nouns "github.com/sallyport/sallyport/session"
)

// hospital is a demonstration whose one scanner has several servers, and an engineer
// with a session to all of them.
type hospital struct {
	dir      string
	ready    world.Ready
	servers  []*server
	firmware []byte
	sum      string
	modules  string // of node

	config, key, known     string // of the way without us,
	ours, ourKey, ourKnown string // and of ours
}

// server is what an engineer reaches, in two ways.
type server struct {
	service   string
	port      string
	login     string
	hostKey   ssh.PublicKey
	root      string // the folder for the errands, of this machine,
	typed     string // and as clients type it
	crowd     bool   // has a folder of 10,000 entries
	clients   int    // so many try it where time matters
	simulated bool   // has no rsync, and serves requests in any order it likes
}

func raise(t *testing.T) *hospital {
	t.Helper()
	h := &hospital{dir: t.TempDir(), firmware: noise(150_001)}
	h.sum = digest(h.firmware)
	h.key = filepath.Join(h.dir, "login")
	var err error
	h.modules, err = filepath.Abs("../../../broker/web/node_modules")
	must(t, err)
	if _, err := os.Stat(filepath.Join(h.modules, "ssh2")); err != nil {
		t.Fatalf("node's ssh2 is missing; make build, or npm ci in broker/web, installs it: %v", err)
	}
	h.quietly(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", h.key)
	h.servers = []*server{
		h.sshd(t, "external-ssh", "Subsystem sftp /usr/lib/openssh/sftp-server\n"),
		h.sshd(t, "internal-ssh", "Subsystem sftp internal-sftp\n"),
		h.simulated(t, "simulated-ssh"),
	}
	h.servers[0].clients, h.servers[1].clients, h.servers[2].clients = 1, 9, 4
	h.servers[1].crowd = true
	fill(t, filepath.Join(h.servers[1].root, "crowd"), 10_000)
	talkative := filepath.Join(h.dir, "talkative")
	must(t, os.Mkdir(talkative, 0o755))
	for _, name := range []string{".bashrc", ".bash_profile"} {
		must(t, os.WriteFile(filepath.Join(talkative, name), []byte("echo 'Welcome to the M\xfcller 3000'\n"), 0o644))
	}
	talks := h.sshd(t, "talkative-ssh", "Subsystem sftp /usr/lib/openssh/sftp-server\nSetEnv HOME="+talkative+"\n")
	all := append(h.servers[:len(h.servers):len(h.servers)], talks)
	h.configure(t, all)
	h.demo(t)
	h.admit(t, all)
	return h
}

// sshd starts a real one.
func (h *hospital) sshd(t *testing.T, service, more string) *server {
	t.Helper()
	me, err := user.Current()
	must(t, err)
	dir := filepath.Join(h.dir, service)
	s := &server{service: service, port: freePort(t), login: me.Username, root: filepath.Join(dir, "far")}
	s.typed = s.root
	must(t, os.MkdirAll(s.root, 0o755))
	fill(t, filepath.Join(s.root, "many"), 500)
	h.quietly(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, "host"))
	raw, err := os.ReadFile(filepath.Join(dir, "host.pub"))
	must(t, err)
	s.hostKey, _, _, _, err = ssh.ParseAuthorizedKey(raw)
	must(t, err)
	config := filepath.Join(dir, "config")
	must(t, os.WriteFile(config, fmt.Appendf(nil, "Port %s\nListenAddress 127.0.0.1\nHostKey %s/host\nAuthorizedKeysFile %s.pub\nStrictModes no\n"+
		"UsePAM no\nPermitRootLogin yes\nPidFile none\nMaxSessions 100\nMaxStartups 100\nPrintMotd no\nPrintLastLog no\n%s", s.port, dir, h.key, more), 0o600))
	_ = os.MkdirAll("/run/sshd", 0o755) // OpenSSH insists when it runs as root
	h.keep(t, "/usr/sbin/sshd", "-D", "-e", "-f", config)
	await(t, service+" listens", func() error {
		c, err := net.DialTimeout("tcp", "127.0.0.1:"+s.port, time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err
	})
	return s
}

// simulated starts the simulator.
func (h *hospital) simulated(t *testing.T, service string) *server {
	t.Helper()
	raw, err := os.ReadFile(h.key + ".pub")
	must(t, err)
	key, _, _, _, err := ssh.ParseAuthorizedKey(raw)
	must(t, err)
	scanner, err := simulator.New(simulator.Config{
		Asset: nouns.Asset{Name: "NGH-PETCT1", Label: "Helion 64", Modality: "PT/CT"}, Dir: filepath.Join(h.dir, service),
		Pace: -1, Seed: 7, AuthorizedKeys: []ssh.PublicKey{key},
	})
	must(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- scanner.Serve(ctx, l) }()
	t.Cleanup(func() { cancel(); <-done })
	_, port, err := net.SplitHostPort(l.Addr().String())
	must(t, err)
	fill(t, filepath.Join(scanner.HomeDir(), "many"), 500)
	return &server{service: service, port: port, login: "svc_meridian", hostKey: scanner.HostKey(), root: scanner.HomeDir(), typed: "/home/svc_meridian", simulated: true}
}

// fill makes a folder that is listed.
func fill(t *testing.T, dir string, n int) {
	must(t, os.Mkdir(dir, 0o755))
	for i := range n {
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("IM%05d.dcm", i)), nil, 0o600))
	}
}

// configure writes what OpenSSH needs to go directly.
func (h *hospital) configure(t *testing.T, servers []*server) {
	h.config, h.known = filepath.Join(h.dir, "ssh_config"), filepath.Join(h.dir, "known_hosts")
	var config, known bytes.Buffer
	for _, s := range servers {
		fmt.Fprintf(&config, "Host %s.direct\n\tHostName 127.0.0.1\n\tPort %s\n\tUser %s\n\tIdentityFile %s\n\tIdentitiesOnly yes\n\tIdentityAgent none\n"+
			"\tUserKnownHostsFile %s\n\tStrictHostKeyChecking yes\n\tHostKeyAlgorithms ssh-ed25519\n", s.service, s.port, s.login, h.key, h.known)
		fmt.Fprintf(&known, "[127.0.0.1]:%s %s", s.port, ssh.MarshalAuthorizedKey(s.hostKey))
	}
	must(t, os.WriteFile(h.config, config.Bytes(), 0o600))
	must(t, os.WriteFile(h.known, known.Bytes(), 0o600))
	assets := bytes.NewBufferString(`assets:
- name: NGH-PETCT1
  policy: {approvals: 1, accept: {engineer: [cli, web], approver: [console, web]}, longest: 8h, channels: [shell, exec, files-in, files-out]}
  endpoints:
  - name: recon
    address: 127.0.0.1
    services:
`)
	for _, s := range servers {
		fmt.Fprintf(assets, "    - {name: %s, protocol: ssh, port: %s, class: non-disruptive, login: {user: %s, key: \"file:%s\"}, host_key: \"%s\"}\n",
			s.service, s.port, s.login, h.key, ssh.FingerprintSHA256(s.hostKey))
	}
	must(t, os.WriteFile(filepath.Join(h.dir, "assets.yaml"), assets.Bytes(), 0o600))
}

func (h *hospital) demo(t *testing.T) {
	t.Helper()
	state, ready := filepath.Join(h.dir, "state"), filepath.Join(h.dir, "ready.json")
	h.keep(t, "sallyport", "demo", "--state", state, "--ready", ready, "--web", "127.0.0.1:0", "--ssh", "127.0.0.1:0", "--agent-config", filepath.Join(h.dir, "assets.yaml"))
	t.Cleanup(func() {
		if logs := demoLogs(state); strings.Contains(logs, "DATA RACE") {
			t.Errorf("%s", logs)
		}
	})
	await(t, "the demonstration is ready", func() error {
		raw, err := os.ReadFile(ready)
		if err != nil {
			return err
		}
		return json.Unmarshal(raw, &h.ready)
	})
}

// admit has engineer and approver agree.
func (h *hospital) admit(t *testing.T, servers []*server) {
	t.Helper()
	args := []string{"request", "new", "NGH-PETCT1/" + servers[0].service}
	for _, s := range servers[1:] {
		args = append(args, s.service)
	}
	h.as(t, "engineer", "login", "--hint", "j.brandt@meridian.example")
	out := h.as(t, "engineer", append(args, "--reason", "conformance", "--work-order", "WO-1", "--for", "2h", "--files", "in,out", "-o", "json")...)
	var made struct{ ID string }
	must(t, json.Unmarshal(out, &made))
	h.as(t, "approver", "login", "--hint", "m.okafor@northfield.example")
	h.as(t, "approver", "approve", made.ID, "--yes")
	home := h.ready.Personas["engineer"].Home
	h.ours, h.ourKnown = filepath.Join(home, "ssh_config"), filepath.Join(home, "known_hosts")
	keys, err := filepath.Glob(filepath.Join(home, "keys", "R-*.key"))
	must(t, err)
	if len(keys) != 1 {
		t.Fatalf("the engineer has the keys %v", keys)
	}
	h.ourKey = keys[0]
}

func (h *hospital) as(t *testing.T, persona string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("sallyport", args...)
	cmd.Env = append(os.Environ(), "BROWSER=curl -sSLo /dev/null", "NO_COLOR=1", "SALLYPORT_HOME="+h.ready.Personas[persona].Home)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("sallyport %v: %v\n%s", args, err, errs.String())
	}
	return out.Bytes()
}

func (h *hospital) quietly(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// keep runs something until the test ends.
func (h *hospital) keep(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", name, log.Bytes()[max(0, log.Len()-1000):])
		}
	})
}

func freePort(t *testing.T) string {
	t.Helper()
	addr, err := world.FreeAddress()
	must(t, err)
	_, port, err := net.SplitHostPort(addr)
	must(t, err)
	return port
}

func await(t *testing.T, what string, try func() error) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

const bedtime = 20 * time.Second

// fallAsleep opens a session and stops its programs, as a laptop does whose lid is shut.
// What it returns wakes them when they have slept long enough, and looks whether the
// session goes on: what the scanner said meanwhile is there, and it hears again.
func (h *hospital) fallAsleep(t *testing.T) func(*testing.T) {
	t.Helper()
	cmd := exec.Command("ssh", "-F", h.ours, "-o", "BatchMode=yes", "internal-ssh.ngh-petct1.ngh",
		`(for i in $(seq 15); do sleep 1; echo tick $i; done) & while read -r line; do echo heard $line; done; wait; exit 6`)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	must(t, cmd.Start())
	all := func(sig syscall.Signal) { _ = syscall.Kill(-cmd.Process.Pid, sig) }
	t.Cleanup(func() { all(syscall.SIGKILL) })
	say := func(t *testing.T, what string) { _, err := io.WriteString(in, what+"\n"); must(t, err) }
	lines := bufio.NewReader(out)
	say(t, "before")
	for line := ""; line != "heard before\n"; {
		line, err = lines.ReadString('\n')
		must(t, err)
	}
	all(syscall.SIGSTOP)
	awake := time.After(bedtime)
	return func(t *testing.T) {
		<-awake
		all(syscall.SIGCONT)
		say(t, "after")
		must(t, in.Close())
		rest, _ := io.ReadAll(lines)
		_ = cmd.Wait()
		if status := cmd.ProcessState.ExitCode(); status != 6 || !strings.Contains(string(rest), "heard after\n") || !strings.Contains(string(rest), "tick 15\n") {
			t.Errorf("after 20 s asleep: status %d, %q, %s", status, rest, errs.String())
		}
	}
}

// slowLine runs a command over 9,600 bit/s, both hops' handshakes and all.
func (h *hospital) slowLine(t *testing.T) func(*testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var work sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); work.Wait() })
	work.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", h.ready.SSH)
			if err != nil {
				_ = near.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
				work.Go(func() { trickle(way[1], way[0]); _ = way[1].Close() })
			}
		}
	})
	raw, err := os.ReadFile(h.ours)
	must(t, err)
	_, door, _ := net.SplitHostPort(h.ready.SSH)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	config := filepath.Join(h.dir, "slow_config")
	text := strings.ReplaceAll(strings.ReplaceAll(string(raw), "Port "+door+"\n", "Port "+port+"\n"), h.ours, config)
	must(t, os.WriteFile(config, []byte(text), 0o600))
	cmd := exec.Command("ssh", "-F", config, "-o", "BatchMode=yes", "internal-ssh.ngh-petct1.ngh", "echo there; head -c 1500 /dev/zero | tr '\\0' x; exit 4")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	must(t, cmd.Start())
	t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	return func(t *testing.T) {
		_ = cmd.Wait()
		if want := "there\n" + strings.Repeat("x", 1500); out.String() != want || cmd.ProcessState.ExitCode() != 4 {
			t.Errorf("over 9,600 bit/s: %v, %q, %s", cmd.ProcessState, out.String(), errs.String())
		}
	}
}

// trickle copies at 9,600 bit/s, ten bits for a byte.
func trickle(to io.Writer, from io.Reader) {
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	buf := make([]byte, 48)
	for {
		n, err := from.Read(buf)
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
		<-pace.C
	}
}
