package screens

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// process is one of ours that runs.
type process struct {
	pid  string
	args string
}

// processes are all that run the program of this hospital: the demonstration with store and
// identity providers, broker, agent, and the commands of its people.
func (h *hospital) processes() (all []process) {
	h.t.Helper()
	entries, err := filepath.Glob("/proc/[0-9]*")
	must(h.t, err)
	for _, dir := range entries {
		exe, err := os.Readlink(filepath.Join(dir, "exe"))
		if err != nil || exe != h.program {
			continue
		}
		args, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err == nil {
			all = append(all, process{filepath.Base(dir), string(bytes.ReplaceAll(args, []byte{0}, []byte{' '}))})
		}
	}
	return all
}

// holds looks for a text in all that a process has in its memory.
func (p process) holds(t *testing.T, text string) bool {
	t.Helper()
	maps, err := os.Open(filepath.Join("/proc", p.pid, "maps"))
	must(t, err)
	defer maps.Close()
	memory, err := os.Open(filepath.Join("/proc", p.pid, "mem"))
	must(t, err)
	defer memory.Close()
	found, read := false, int64(0)
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var from, to int64
		var may string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &may); err != nil || may[0] != 'r' || strings.Contains(lines.Text(), "[v") {
			continue // what the kernel keeps there is not the process's
		}
		const step, over = 4 << 20, 256
		for b := make([]byte, step+over); from < to; from += step {
			n, err := memory.ReadAt(b[:min(step+over, to-from)], from)
			if err != nil && n == 0 {
				break // it was given back meanwhile
			}
			read += int64(n)
			found = found || says(b[:n], text)
		}
	}
	if read < 1<<20 {
		t.Errorf("only %d bytes of %s could be read", read, p.args)
	}
	return found
}

// The passwords of consoles are at the hospital's agent alone: in no memory of the broker, of its
// store, and of what runs at engineers and watchers, in no file, and in no recording.
func TestPasswordsStayAtTheAgent(t *testing.T) {
	const short = "Zk7?uW2q" // more a VNC server does not look at
	_, behind := startXvnc(t)
	rdp, _ := startXrdp(t, &desk{t: t, home: t.TempDir()}, behind)
	dir := t.TempDir()
	file := func(name string, b []byte) string {
		must(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
		return filepath.Join(dir, name)
	}
	hash := exec.Command("vncpasswd", "-f")
	hash.Stdin = strings.NewReader(short + "\n")
	known, err := hash.Output()
	must(t, err)
	_, vnc := startXvncAs(t, "640x480", "-SecurityTypes", "VncAuth", "-PasswordFile", file("known", known))
	passwords := map[string]string{"console-rdp": secret, "console-vnc": short}
	h := raise(t, fmt.Sprintf(`{name: console-rdp, protocol: rdp, port: %d, login: {user: svc, domain: "", password: "file:%s"}}, {name: console-vnc, protocol: vnc, port: %d, class: non-disruptive, login: {password: "file:%s"}}`,
		rdp, file("rdp", []byte(secret+"\n")), vnc, file("vnc", []byte(short+"\n"))), "control")

	for service, password := range passwords {
		id := h.grant(h.granted(service))
		engineer := lend(t, h.door("engineer", "connect", "NGH-PETCT1/"+service, "-o", "json"))
		watching := lend(t, h.door("approver", "sessions", "watch", id, "-o", "json"))
		for who, at := range map[string]*hand{"the engineer": engineer, "who watches": watching} {
			until(t, who+" sees "+service, func() bool {
				at.mu.Lock()
				defer at.mu.Unlock()
				return at.size.X > 0
			})
		}
		for range 20 {
			engineer.taps('a', 0x1e)
		}
		h.staysAtTheAgent(password, 5, true) // the demonstration, broker, agent, and two commands
		h.run("approver", "sessions", "kill", id)
		h.staysAtTheAgent(password, 3, false)
	}

	h.run("auditor", "login", "--hint", "s.adeyemi@northfield.example")
	var all []struct{ ID, State string }
	until(t, "the recordings are sealed", func() bool {
		must(t, json.Unmarshal(h.run("auditor", "recordings", "ls", "-o", "json"), &all))
		return len(all) == 2 && all[0].State == "sealed" && all[1].State == "sealed"
	})
	for _, r := range all {
		b := h.run("auditor", "recordings", "export", r.ID, "--reason", "Review", "--format", "json")
		for service, password := range passwords {
			if says(b, password) {
				t.Errorf("%s has the password of %s", r.ID, service)
			}
		}
	}
	for _, password := range passwords {
		h.never(password)
	}
}

// staysAtTheAgent looks for a password in all processes of ours. In the agent it must be found
// during a session: else this would find it nowhere. What is left of it there later is chance.
func (h *hospital) staysAtTheAgent(password string, least int, live bool) {
	h.t.Helper()
	all := h.processes()
	if len(all) < least {
		h.t.Errorf("only %d processes: %+v", len(all), all)
	}
	agent := false
	for _, p := range all {
		is := p.pid == fmt.Sprint(h.ready.PIDs["agent"])
		agent = agent || is
		if has := p.holds(h.t, password); has != is && (live || has) {
			h.t.Errorf("the password is in the memory of %s: %v, and should be: %v", p.args, !is, is)
		}
	}
	if !agent {
		h.t.Errorf("the agent is not among %+v", all)
	}
}
