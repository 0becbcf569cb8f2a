package shell

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/session"
)

// codes runs a program of OpenSSH whose person types the code that the operator reads out,
// and returns what it printed, its status and what it asked.
func (c *client) codes(w *world, name string, args ...string) (said string, status int, asked string) {
	c.t.Helper()
	ask, file := filepath.Join(c.dir, "ask"), filepath.Join(c.dir, "code")
	must(c.t, os.WriteFile(ask, []byte("#!/bin/sh\nprintf '%s' \"$1\" >'"+file+".asked'\nwhile ! cat '"+file+"' 2>/dev/null; do sleep 0.02; done\n"), 0o700))
	opts := c.asking()
	if name == "rsync" {
		opts = []string{"-e", "ssh '" + strings.Join(opts, "' '") + "'"}
	}
	cmd := exec.Command(name, append(opts, args...)...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "SSH_ASKPASS="+ask, "SSH_ASKPASS_REQUIRE=force", "DISPLAY=none")
	if name == "sftp" {
		cmd.Stdin = strings.NewReader("put here there\nget there back\n")
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	must(c.t, cmd.Start())
	code := w.asked().Code
	must(c.t, os.WriteFile(file+".new", []byte(code+"\n"), 0o600))
	must(c.t, os.Rename(file+".new", file))
	_ = cmd.Wait()
	prompt, _ := os.ReadFile(file + ".asked")
	return out.String(), cmd.ProcessState.ExitCode(), string(prompt)
}

// asking are the options of a client that may ask.
func (c *client) asking() []string {
	opts := append([]string{"-o", "BatchMode=no"}, c.opts...)
	for i, opt := range opts {
		if opt == "BatchMode=yes" {
			opts[i] = "BatchMode=no"
		}
	}
	return opts
}

// Every program of OpenSSH that carries files asks for the code as ssh does, and rsync by ssh;
// what may not ask is told why not.
func TestFilesAskForTheCode(t *testing.T) {
	d := startSSHD(t)
	for name, args := range map[string][]string{
		"scp":   {"here", "127.0.0.1:DIR/there"},
		"sftp":  {"127.0.0.1:DIR"},
		"rsync": {"here", "127.0.0.1:DIR/there"},
	} {
		t.Run(name, func(t *testing.T) {
			w := askingAt(t, session.ConsentCode, 0, d.dial)
			c, _ := w.openSSH(all()...)
			must(t, os.WriteFile(filepath.Join(c.dir, "here"), []byte("a file"), 0o600))
			to := t.TempDir()
			given := append([]string(nil), args...)
			given[len(given)-1] = strings.Replace(given[len(given)-1], "DIR", to, 1)
			said, status, asked := c.codes(w, name, given...)
			if status != 0 || !strings.Contains(asked, "Code that the operator at NGH-PETCT1 reads out: ") {
				t.Errorf("%d, asked %q: %s", status, asked, said)
			}
			if got, err := os.ReadFile(filepath.Join(to, "there")); err != nil || string(got) != "a file" {
				t.Errorf("it carried %q, %v: %s", got, err, said)
			}
		})
	}
	t.Run("sftp with a batch may not ask", func(t *testing.T) {
		w := askingAt(t, session.ConsentCode, 0, d.dial)
		c, _ := w.openSSH(all()...)
		must(t, os.WriteFile(filepath.Join(c.dir, "batch"), []byte("pwd\n"), 0o600))
		cmd := exec.Command("sftp", append(c.opts, "-b", filepath.Join(c.dir, "batch"), "127.0.0.1")...)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "six digits that the operator at NGH-PETCT1 reads out") {
			t.Errorf("%v: %s", err, out)
		}
	})
}
