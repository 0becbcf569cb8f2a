package stories

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sallyport/sallyport/cmd/internal/world"
)

// TestMain builds the three real binaries, with the race detector in them, and puts
// them first in the path.
func TestMain(m *testing.M) {
	os.Exit(withBinaries(m))
}

func withBinaries(m *testing.M) int {
	dir, err := os.MkdirTemp("", "stories-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-race", "-o", dir+"/", "../../sallyport", "../../sallyport-agent", "../../sallyport-broker")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the binaries: %v\n%s", err, out)
		return 1
	}
	os.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return m.Run()
}

// TestStories walks whole stories against the real thing: real OpenSSH, real
// logins, real files, broker and agent as processes of their own.
func TestStories(t *testing.T) {
	for _, peer := range []string{"ssh", "scp", "sftp", "rsync", "curl", "asciinema", "/usr/sbin/sshd"} {
		if _, err := exec.LookPath(peer); err != nil {
			t.Fatalf("%s is missing; .ci/peers installs it", peer)
		}
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"demo": cmdDemo, "as": cmdAs, "exits": cmdExits, "field": cmdField, "equal": cmdEqual,
			"granted": cmdGranted, "background": cmdBackground, "ends": cmdEnds, "signal": cmdSignal,
			"wait-live": cmdWaitLive, "wait-ended": cmdWaitEnded, "wait-sealed": cmdWaitSealed,
			"grep-tree": cmdGrepTree, "flip": cmdFlip, "random": cmdRandom, "sshd": cmdSSHD,
			"each-recording-intact": cmdEachIntact, "agent-idle": cmdAgentIdle, "edit": cmdEdit,
			"terminal": cmdTerminal, "type": cmdType, "shows": cmdShows, "hangs-up": cmdHangsUp, "running": cmdRunning,
			"clock": cmdClock, "passed": cmdPassed, "by": cmdBy, "each-line": cmdEachLine, "await": cmdAwait, "flips": cmdFlips, "wait-torn": cmdWaitTorn, "agent-back": cmdAgentBack,
			"seeks": cmdSeeks, "looks": cmdLooks, "says": cmdSays, "page": cmdPage, "tells": cmdTells,
			"free-port": cmdFreePort, "stands": cmdStands, "outlives": cmdOutlives, "scans": cmdScans, "writes": cmdWrites, "reads": cmdReads,
			"take": func(ts *testscript.TestScript, _ bool, args []string) { take(ts, args[0], args[1]) },
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("BROWSER", "curl -sSLo /dev/null")
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("NO_COLOR", "1")
			env.Values["stage"] = &stage{running: map[string]*exec.Cmd{}}
			return nil
		},
	})
}

// stage is what one script has running.
type stage struct {
	ready   world.Ready
	running map[string]*exec.Cmd
	done    map[string]chan error
	screens map[string]*screen

	visitors map[string]*visitor // of the agent's own page, by persona
}

func stageOf(ts *testscript.TestScript) *stage { return ts.Value("stage").(*stage) }

// patience bounds every wait; with the race detector on two busy cores all is slow.
const patience = 90 * time.Second

// until tries something until it succeeds.
func until(ts *testscript.TestScript, what string, try func() error) {
	deadline := time.Now().Add(patience)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s: %v", what, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// demo [flags]: start the demonstration and take its addresses and people as variables.
func cmdDemo(ts *testscript.TestScript, _ bool, args []string) {
	state, ready := ts.MkAbs("state"), ts.MkAbs("ready.json")
	args = append([]string{"demo", "--state", state, "--ready", ready, "--web", "127.0.0.1:0", "--ssh", "127.0.0.1:0"}, args...)
	start(ts, "demo", "sallyport", args...)
	st := stageOf(ts)
	until(ts, "the demonstration became ready", func() error {
		select {
		case err := <-st.done["demo"]:
			ts.Fatalf("the demonstration ended: %v\n%s", err, demoLogs(state))
		default:
		}
		raw, err := os.ReadFile(ready)
		if err != nil {
			return err
		}
		return json.Unmarshal(raw, &st.ready)
	})
	ts.Defer(func() {
		if strings.Contains(os.Getenv("STORY_LOGS"), "1") {
			ts.Logf("%s", demoLogs(state))
		}
	})
	ts.Setenv("STATE", state)
	ts.Setenv("AGENT_SOCKET", st.ready.AgentSocket)
	ts.Setenv("PAGE", st.ready.Console[strings.LastIndexByte(st.ready.Console, ':')+1:])
	if secret, err := os.ReadFile(filepath.Join(state, "agent/secrets/svc_meridian")); err == nil {
		ts.Setenv("DEVICE_PASSWORD", string(secret))
	}
}

func demoLogs(state string) string {
	var all strings.Builder
	for _, name := range []string{"broker", "agent"} {
		raw, _ := os.ReadFile(filepath.Join(state, "logs", name+".log"))
		if len(raw) > 20000 {
			raw = raw[len(raw)-20000:]
		}
		fmt.Fprintf(&all, "--- %s.log\n%s", name, raw)
	}
	return all.String()
}

// as PERSONA: from here on the command line acts as somebody.
func cmdAs(ts *testscript.TestScript, _ bool, args []string) {
	p, ok := stageOf(ts).ready.Personas[args[0]]
	if !ok {
		ts.Fatalf("nobody is called %s", args[0])
	}
	ts.Setenv("SALLYPORT_HOME", p.Home)
}

// exits N[,N] command...: run it and look at its exit status.
func cmdExits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if !slices.Contains(strings.Split(args[0], ","), strconv.Itoa(code)) {
		ts.Fatalf("%v exited with %d, want %s", args[1:], code, args[0])
	}
}

// field VAR file path: take a value out of JSON; a path is keys and indexes with
// dots, -1 the last element.
func cmdField(ts *testscript.TestScript, _ bool, args []string) {
	var v any
	if err := json.Unmarshal([]byte(ts.ReadFile(args[1])), &v); err != nil {
		ts.Fatalf("%s: %v", args[1], err)
	}
	for _, step := range strings.Split(args[2], ".") {
		switch at := v.(type) {
		case map[string]any:
			value, ok := at[step]
			if !ok {
				ts.Fatalf("%s has no %s", args[1], args[2])
			}
			v = value
		case []any:
			i, err := strconv.Atoi(step)
			if err == nil && i < 0 {
				i += len(at)
			}
			if err != nil || i < 0 || i >= len(at) {
				ts.Fatalf("%s has no element %s (%d are there)", args[1], step, len(at))
			}
			v = at[i]
		default:
			ts.Fatalf("%s ends before %s", args[1], args[2])
		}
	}
	if v == nil {
		v = "null"
	}
	if n, ok := v.(float64); ok {
		v = strconv.FormatFloat(n, 'f', -1, 64)
	}
	ts.Setenv(args[0], fmt.Sprint(v))
}

func cmdEqual(ts *testscript.TestScript, neg bool, args []string) {
	if (args[0] == args[1]) == neg {
		ts.Fatalf("%q and %q", args[0], args[1])
	}
}

// granted ASSET/SERVICE DURATION: engineer and approver agree; sets R and S.
func cmdGranted(ts *testscript.TestScript, _ bool, args []string) {
	run := func(name string, more ...string) {
		ts.Check(ts.Exec(name, more...))
	}
	cmdAs(ts, false, []string{"engineer"})
	run("sallyport", "login", "--hint", "j.brandt@meridian.example")
	run("sallyport", "request", "new", args[0], "--reason", "story", "--work-order", "WO-1", "--for", args[1], "--files", "in,out", "-o", "json")
	take(ts, "R", "id")
	cmdAs(ts, false, []string{"approver"})
	run("sallyport", "login", "--hint", "m.okafor@northfield.example")
	run("sallyport", "approve", ts.Getenv("R"), "--yes")
	run("sallyport", "request", "show", ts.Getenv("R"), "-o", "json")
	take(ts, "S", "grant")
}

// take sets a variable from a field of the JSON that the last command printed.
func take(ts *testscript.TestScript, name, field string) {
	var v map[string]any
	if err := json.Unmarshal([]byte(ts.ReadFile("stdout")), &v); err != nil {
		ts.Fatalf("%v", err)
	}
	s, ok := v[field].(string)
	if !ok {
		ts.Fatalf("%s is not there: %v", field, v)
	}
	ts.Setenv(name, s)
}

// background NAME command...: start something that goes on.
func cmdBackground(ts *testscript.TestScript, _ bool, args []string) {
	start(ts, args[0], args[1], args[2:]...)
}

func start(ts *testscript.TestScript, name, command string, args ...string) {
	var out bytes.Buffer
	// Deferred first, so run last: when nothing writes there any more.
	ts.Defer(func() { ts.Logf("[%s]\n%s", name, out.String()) })
	run(ts, name, &out, nil, command, args...)
}

// run starts something that is ended, and waited for, with the script at the latest.
func run(ts *testscript.TestScript, name string, out io.Writer, in io.Reader, command string, args ...string) {
	st := stageOf(ts)
	path, err := lookPath(ts, command)
	ts.Check(err)
	cmd := exec.Command(path, args...)
	cmd.Dir = ts.MkAbs(".")
	for _, key := range []string{"PATH", "HOME", "BROWSER", "SALLYPORT_HOME", "NO_COLOR", "WORK"} {
		cmd.Env = append(cmd.Env, key+"="+ts.Getenv(key))
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	ts.Check(cmd.Start())
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	if st.done == nil {
		st.done = map[string]chan error{}
	}
	st.running[name], st.done[name] = cmd, done
	ts.Defer(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(30 * time.Second):
			_ = cmd.Process.Kill()
			ts.Logf("%s had to be killed", name)
		}
		close(done)
	})
}

func lookPath(ts *testscript.TestScript, name string) (string, error) {
	if filepath.IsAbs(name) {
		return name, nil
	}
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 && !info.IsDir() {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not in the path", name)
}

// ends NAME within: the background command must end by itself.
func cmdEnds(ts *testscript.TestScript, _ bool, args []string) {
	limit, err := time.ParseDuration(args[1])
	ts.Check(err)
	st := stageOf(ts)
	select {
	case err := <-st.done[args[0]]:
		st.done[args[0]] <- err // for the clean-up
	case <-time.After(limit):
		ts.Fatalf("%s was still running after %s", args[0], limit)
	}
}

// signal STOP|CONT|KILL|HUP broker|agent
func cmdSignal(ts *testscript.TestScript, _ bool, args []string) {
	raw, err := os.ReadFile(ts.MkAbs("ready.json"))
	ts.Check(err)
	var ready world.Ready
	ts.Check(json.Unmarshal(raw, &ready))
	sig := map[string]syscall.Signal{"STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT, "KILL": syscall.SIGKILL, "HUP": syscall.SIGHUP}[args[0]]
	ts.Check(syscall.Kill(ready.PIDs[args[1]], sig))
}

// agent-idle LIMIT: within the limit the agent itself says that nothing is live. It is
// asked on its own socket, so this works with the broker stopped.
func cmdAgentIdle(ts *testscript.TestScript, _ bool, args []string) {
	limit, err := time.ParseDuration(args[0])
	ts.Check(err)
	deadline := time.Now().Add(limit)
	for {
		ts.Check(ts.Exec("sallyport-agent", "status", "--json", "--socket", ts.Getenv("AGENT_SOCKET")))
		var st struct {
			Sessions []struct {
				Connections int `json:"connections"`
			} `json:"sessions"`
		}
		ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &st))
		if len(st.Sessions) == 0 {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("the agent still has %d live sessions after %s", len(st.Sessions), limit)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// wait-live: the session S has a live connection at the agent.
func cmdWaitLive(ts *testscript.TestScript, _ bool, _ []string) {
	until(ts, "the session is live with a recording", func() error {
		return session(ts, func(v map[string]any) bool {
			recs, _ := v["recordings"].([]any)
			return v["state"] == "live" && len(recs) > 0
		})
	})
}

// wait-ended: the broker has heard that session S is over.
func cmdWaitEnded(ts *testscript.TestScript, _ bool, _ []string) {
	until(ts, "the session is reported as ended", func() error {
		return session(ts, func(v map[string]any) bool { return v["state"] == "ended" && v["reason"] != nil })
	})
}

func session(ts *testscript.TestScript, want func(map[string]any) bool) error {
	if err := ts.Exec("sallyport", "sessions", "show", ts.Getenv("S"), "-o", "json"); err != nil {
		return err
	}
	var v map[string]any
	if err := json.Unmarshal([]byte(ts.ReadFile("stdout")), &v); err != nil {
		return err
	}
	if !want(v) {
		return fmt.Errorf("not yet: %v", v)
	}
	return nil
}

// wait-sealed: every recording that is listed has been sealed and uploaded.
func cmdWaitSealed(ts *testscript.TestScript, _ bool, _ []string) {
	until(ts, "all recordings are sealed", func() error {
		if err := ts.Exec("sallyport", "recordings", "ls", "-o", "json"); err != nil {
			return err
		}
		var all []map[string]any
		if err := json.Unmarshal([]byte(ts.ReadFile("stdout")), &all); err != nil {
			return err
		}
		if len(all) == 0 {
			return errors.New("no recordings yet")
		}
		for _, r := range all {
			if r["state"] == "live" {
				return fmt.Errorf("%v is still live", r["id"])
			}
		}
		return nil
	})
}

// each-recording-intact FILE: fetch and verify every listed recording.
func cmdEachIntact(ts *testscript.TestScript, _ bool, args []string) {
	var all []map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &all))
	for _, r := range all {
		ts.Check(ts.Exec("sallyport", "recordings", "verify", fmt.Sprint(r["id"])))
	}
}

// grep-tree TEXT path: fails when no file under path holds TEXT. A tree in use is looked through
// again where a file was moved meanwhile: it may have been moved to where nobody looks any more.
func cmdGrepTree(ts *testscript.TestScript, neg bool, args []string) {
	if args[0] == "" {
		ts.Fatalf("nothing to look for")
	}
	found, err := grepTree(ts.MkAbs(args[1]), []byte(args[0]))
	for try := 0; errors.Is(err, fs.ErrNotExist) && try < 50; try++ {
		found, err = grepTree(ts.MkAbs(args[1]), []byte(args[0]))
	}
	ts.Check(err)
	if (found != "") == neg {
		ts.Fatalf("%q in %s: found in %q", args[0], args[1], found)
	}
}

// grepTree is the last file under root that holds text.
func grepTree(root string, text []byte) (found string, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		if bytes.Contains(raw, text) {
			found = path
		}
		return err
	})
	return found, err
}

// flip FILE: change one bit in the middle.
func cmdFlip(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	raw, err := os.ReadFile(path)
	ts.Check(err)
	raw[len(raw)/2] ^= 1
	ts.Check(os.WriteFile(path, raw, 0o600))
}

// edit FROM TO old=new...: copy a file with replacements, each of which must apply; \n in
// a new text is a line's end.
func cmdEdit(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[0])
	for _, change := range args[2:] {
		old, replacement, _ := strings.Cut(change, "=")
		if !strings.Contains(text, old) {
			ts.Fatalf("%s does not hold %q", args[0], old)
		}
		text = strings.ReplaceAll(text, old, strings.ReplaceAll(replacement, `\n`, "\n"))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}

// random FILE BYTES
func cmdRandom(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	blob := make([]byte, n)
	_, _ = rand.Read(blob)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), blob, 0o600))
}

// sshd [address]: run a real OpenSSH server and write assets.yaml for it.
func cmdSSHD(ts *testscript.TestScript, _ bool, args []string) {
	address := "127.0.0.1"
	if len(args) > 0 {
		address = args[0]
	}
	dir := ts.MkAbs("sshd")
	ts.Check(os.MkdirAll(dir, 0o700))
	for _, key := range []string{"host", "login"} {
		out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, key)).CombinedOutput()
		if err != nil {
			ts.Fatalf("%s: %v", out, err)
		}
	}
	pub, err := os.ReadFile(filepath.Join(dir, "login.pub"))
	ts.Check(err)
	ts.Check(os.WriteFile(filepath.Join(dir, "authorized_keys"), pub, 0o600))
	ln, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	ts.Check(err)
	port := ln.Addr().(*net.TCPAddr).Port
	ts.Check(ln.Close())
	user := os.Getenv("USER")
	if user == "" {
		user = "root"
	}
	config := fmt.Sprintf("Port %d\nListenAddress %s\nHostKey %s/host\nAuthorizedKeysFile %s/authorized_keys\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPidFile none\nSubsystem sftp internal-sftp\n", port, address, dir, dir)
	ts.Check(os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600))
	_ = os.MkdirAll("/run/sshd", 0o755)
	start(ts, "sshd", "/usr/sbin/sshd", "-D", "-e", "-f", filepath.Join(dir, "config"))
	until(ts, "sshd listens", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", ln.Addr().String())
		if err == nil {
			conn.Close()
		}
		return err
	})
	fingerprint, err := exec.Command("ssh-keygen", "-lf", filepath.Join(dir, "host.pub")).Output()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("assets.yaml"), fmt.Appendf(nil, `assets:
- name: NGH-PETCT1
  policy: {approvals: 1, accept: {engineer: [cli, web], approver: [console, web]}, longest: 8h, channels: [shell, exec, files-in, files-out]}
  endpoints:
  - name: recon
    address: "%s"
    services:
    - {name: recon-ssh, protocol: ssh, port: %d, class: non-disruptive, login: {user: %s, key: "file:%s/login"}, host_key: "%s"}
`, address, port, user, dir, strings.Fields(string(fingerprint))[1]), 0o600))
}
