package shell

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
)

// What clients of their own accord do beside shells and commands does what it does at a
// plain sshd, and stands on record as what it is.
func TestWhatClientsDo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, startSSHD(t).dial)
	c, _ := w.openSSH(all()...)

	t.Run("a reader that goes away ends the command", func(t *testing.T) {
		before := w.count()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		ssh := "ssh '" + strings.Join(c.opts, "' '") + "' 127.0.0.1"
		out, err := exec.CommandContext(ctx, "bash", "-c", ssh+` 'exec yes 2026-11-28 12:00:00' | head -1`).Output()
		if err != nil || string(out) != "2026-11-28 12:00:00\n" {
			t.Errorf("%q, %v", out, err)
		}
		r := w.tape(before)
		r.wait(t)
		if notes := documents[session.Note](t, r, session.Marker); !slices.ContainsFunc(notes, func(n session.Note) bool { return n.Kind == session.NoteDeaf }) {
			t.Errorf("that nobody read any more is not on record: %v", notes)
		}
		if x := documents[session.ExitStatus](t, r, session.Exit); len(x) != 1 || x[0].Signal != "PIPE" {
			t.Errorf("it ended by %v", x)
		}
	})
	t.Run("keepalives are no refusals", func(t *testing.T) {
		before := w.count()
		if _, errOut, status := c.run(nil, "ssh", "-o", "ServerAliveInterval=1", "127.0.0.1", "sleep 2.5"); status != 0 {
			t.Errorf("%s, %d", errOut, status)
		}
		r := w.tape(before)
		r.wait(t)
		if refused := documents[session.Refusal](t, r, session.NotAllowed); len(refused) != 0 {
			t.Errorf("%v", refused)
		}
	})
	t.Run("the language passes, nothing else does", func(t *testing.T) {
		before := w.count()
		out, _, _ := c.run(nil, "ssh", "-o", "SetEnv=LANG=de_DE.UTF-8 LC_TIME=C SECRET=x", "127.0.0.1", `echo "$LANG $LC_TIME $SECRET"`)
		if out != "de_DE.UTF-8 C \n" {
			t.Errorf("%q", out)
		}
		r := w.tape(before)
		r.wait(t)
		var told []string
		for _, n := range documents[session.Note](t, r, session.Marker) {
			if n.Kind == session.NoteVariable {
				told = append(told, n.Text)
			}
		}
		refused := documents[session.Refusal](t, r, session.NotAllowed)
		if !slices.Equal(told, []string{"LANG=de_DE.UTF-8", "LC_TIME=C"}) || len(refused) != 1 || refused[0].What != "env SECRET" {
			t.Errorf("told %q, refused %v", told, refused)
		}
	})
	for name, command := range map[string]string{
		"of 100 KiB": "printf %s '" + strings.Repeat("ä", 50<<10) + "' | wc -c", "in Latin-1": "printf %s 'M\xfcller'", "of one line": "echo one",
	} {
		t.Run("a command "+name+" runs and is on record", func(t *testing.T) {
			before := w.count()
			out, errOut, status := c.run(nil, "ssh", "127.0.0.1", command)
			want, err := exec.Command("sh", "-c", command).Output()
			if err != nil || out != string(want) || status != 0 {
				t.Errorf("%.100q, %.100q, %d, %v", out, errOut, status, err)
			}
			r := w.tape(before)
			r.wait(t)
			open := documents[session.ChannelOpen](t, r, session.ChannelOpened)[0]
			whole := open.Command
			if open.Bytes > 0 {
				whole = string(r.data(session.CommandLine))
			}
			if whole != command || open.Bytes > 0 != (command != "echo one") {
				t.Errorf("on record: %.60q of %d bytes, %.60q", open.Command, open.Bytes, whole)
			}
		})
	}
}

// What is typed after a new size meets the new size, as it does without us.
func TestSizesKeepTheirOrder(t *testing.T) {
	t.Parallel()
	d := startSSHD(t)
	w := newWorld(t, d.dial)
	signer, _ := w.grant(session.Exec)
	direct, err := d.dial(context.Background())
	must(t, err)
	defer direct.Close()
	for name, c := range map[string]*gossh.Client{"direct": direct, "by the agent": w.mustConnect(signer)} {
		s, err := c.NewSession()
		must(t, err)
		must(t, s.RequestPty("xterm", 24, 80, gossh.TerminalModes{gossh.ECHO: 0, gossh.OPOST: 0}))
		in, err := s.StdinPipe()
		must(t, err)
		out, err := s.StdoutPipe()
		must(t, err)
		must(t, s.Start("while read -r line; do stty size; done"))
		lines := bufio.NewReader(out)
		for cols := 100; cols < 250; cols++ {
			must(t, s.WindowChange(24, cols))
			_, err := in.Write([]byte("\n"))
			must(t, err)
			got, err := lines.ReadString('\n')
			must(t, err)
			if got != fmt.Sprintf("24 %d\n", cols) {
				t.Fatalf("%s: after a change to %d columns there are %q", name, cols, got)
			}
		}
		_ = s.Close()
	}
}

// A scanner for weak algorithms names the curve without which clients under FIPS rules and
// old libraries would have nothing to agree on, and nothing else.
func TestAudit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newOracle(t).dial)
	out, err := exec.Command("ssh-audit", "-n", "-l", "fail", "-p", strings.TrimPrefix(w.addr, "127.0.0.1:"), "127.0.0.1").CombinedOutput()
	if !bytes.Contains(out, []byte("key exchange")) {
		t.Fatalf("%v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "[fail]") && !strings.Contains(line, "nistp256") {
			t.Error(line)
		}
	}
}

// Libraries that are still maintained, in the versions of Debian 12, find something to
// agree on: with their own choice, and as under FIPS rules, where there is no Ed25519 and
// no ChaCha20.
func TestLibraries(t *testing.T) {
	t.Parallel()
	w := newWorld(t, startSSHD(t).dial)
	c, _ := w.openSSH(all()...)
	far := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(far, []byte("content\n"), 0o600))
	known, err := os.ReadFile(filepath.Join(c.dir, "known"))
	must(t, err)
	known = fmt.Appendf(known, "[127.0.0.1]:%s %s", c.port, gossh.MarshalAuthorizedKey(w.second))
	must(t, os.WriteFile(filepath.Join(c.dir, "known"), known, 0o600))
	script := `
import paramiko, sys
port, key, known, far = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
fips = {'keys': ['ssh-ed25519'], 'kex': ['curve25519-sha256@libssh.org', 'curve25519-sha256'], 'ciphers': ['chacha20-poly1305@openssh.com']}
for off in ({}, fips):
    c = paramiko.SSHClient()
    c.load_host_keys(known)
    c.connect('127.0.0.1', port, 'sallyport', key_filename=key, allow_agent=False, look_for_keys=False, disabled_algorithms=off)
    print(c.exec_command('echo out')[1].read().decode(), end='')
    print(c.open_sftp().file(far).read().decode(), end='')
    c.close()
`
	for name, args := range map[string][]string{
		"paramiko": {"/usr/bin/python3", "-c", script, c.port, filepath.Join(c.dir, "id"), filepath.Join(c.dir, "known"), far},
		"libssh2": {"curl", "-sS", "--key", filepath.Join(c.dir, "id"), "--pubkey", filepath.Join(c.dir, "id.pub"), "-u", "sallyport:",
			"sftp://127.0.0.1:" + c.port + far},
	} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "HOME="+c.dir)
		must(t, os.MkdirAll(filepath.Join(c.dir, ".ssh"), 0o700))
		must(t, os.WriteFile(filepath.Join(c.dir, ".ssh", "known_hosts"), known, 0o600))
		out, err := cmd.CombinedOutput()
		want := map[string]string{"paramiko": "out\ncontent\nout\ncontent\n", "libssh2": "content\n"}[name]
		if err != nil || string(out) != want {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
