package simulator

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// openSSH runs a real client of OpenSSH with the rig's key and pinned host key. A
// missing client fails the test.
func (r *rig) openSSH(stdin []byte, name string, args ...string) (stdout, stderr string, code int) {
	r.Helper()
	if name != "sftp" && name != "scp" && name != "ssh" {
		r.Fatalf("not a client: %s", name)
	}
	return r.runClient(nil, stdin, name, append(r.options(), args...)...)
}

func (r *rig) options() []string {
	r.Helper()
	host, port, err := net.SplitHostPort(r.addr)
	if err != nil {
		r.Fatal(err)
	}
	known := filepath.Join(r.dir, "known_hosts")
	line := fmt.Sprintf("[%s]:%s %s", host, port, ssh.MarshalAuthorizedKey(r.HostKey()))
	if err := os.WriteFile(known, []byte(line), 0o600); err != nil {
		r.Fatal(err)
	}
	return []string{
		"-F", "none", "-o", "Port=" + port, "-o", "User=svc_meridian", "-o", "UserKnownHostsFile=" + known,
		"-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityFile=" + r.keyFile,
		"-o", "ConnectTimeout=10",
	}
}

func (r *rig) runClient(env []string, stdin []byte, name string, args ...string) (stdout, stderr string, code int) {
	r.Helper()
	cmd := exec.Command(name, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &errs
	cmd.Env = append(os.Environ(), append(env, "SSH_AUTH_SOCK=")...)
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.Fatalf("%s is needed for this test: %v", name, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestOpenSSHExec(t *testing.T) {
	r := launch(t)
	out, stderr, code := r.openSSH(nil, "ssh", "127.0.0.1", "hostname; exit 17")
	if out != "NGH-PETCT1\n" || code != 17 {
		t.Errorf("%q %q %d", out, stderr, code)
	}
	data := make([]byte, 1<<20+3)
	if _, err := rand.Read(data); err != nil {
		t.Fatal(err)
	}
	if out, stderr, code = r.openSSH(data, "ssh", "127.0.0.1", "cat"); out != string(data) || code != 0 {
		t.Errorf("%d bytes came back, %q, status %d", len(out), stderr, code)
	}
	if out, _, _ = r.openSSH(data, "ssh", "127.0.0.1", "sha256sum"); out != fmt.Sprintf("%x  -\n", sha256.Sum256(data)) {
		t.Errorf("sha256sum: %q", out)
	}
	if _, stderr, code = r.openSSH(nil, "ssh", "127.0.0.1", "frobnicate"); code != 127 || !strings.Contains(stderr, "command not found") {
		t.Errorf("unknown command: %d %q", code, stderr)
	}
}

// Without a terminal the shell is a plain interpreter: no prompt, no echo.
func TestOpenSSHScript(t *testing.T) {
	r := launch(t)
	out, stderr, code := r.openSSH([]byte("echo one\nnonsense\n# a comment\n\nexit 5\necho two\n"), "ssh", "127.0.0.1")
	if out != "one\n" || code != 5 || !strings.Contains(stderr, "nonsense: command not found") {
		t.Errorf("%q %q %d", out, stderr, code)
	}
	if _, _, code = r.openSSH([]byte("false"), "ssh", "-T", "127.0.0.1"); code != 1 {
		t.Errorf("end of file after false: %d", code)
	}
	if out, _, _ = r.openSSH([]byte("cat\nthe rest\nis data\n"), "ssh", "127.0.0.1"); out != "the rest\nis data\n" {
		t.Errorf("cat in a script: %q", out)
	}
}

func TestOpenSSHTerminal(t *testing.T) {
	r := launch(t)
	out, stderr, code := r.openSSH([]byte("modstate\recho erroX\x7fr\rexit 9\r"), "ssh", "-tt", "127.0.0.1")
	if code != 9 {
		t.Errorf("status %d: %s", code, stderr)
	}
	for _, want := range []string{
		"NGH-PETCT1  Helion 64  PT/CT  reconstruction host\r\n", "recon@NGH-PETCT1:~$ modstate\r\n", "MODALITY STATE", "\r\nerror\r\n", "AE title         NGH_PETCT1\r\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}

func TestOpenSSHFiles(t *testing.T) {
	r := launch(t)
	data := make([]byte, 2<<20+11)
	if _, err := rand.Read(data); err != nil {
		t.Fatal(err)
	}
	local := filepath.Join(r.dir, "package.bin")
	if err := os.WriteFile(local, data, 0o640); err != nil {
		t.Fatal(err)
	}
	back := filepath.Join(r.dir, "back.bin")
	same := func(what string) {
		t.Helper()
		got, err := os.ReadFile(back)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes, %v", what, len(got), err)
		}
		_ = os.Remove(back)
	}
	batch := fmt.Sprintf("pwd\nmkdir in\nput %s in/a.bin\nls -l in\nrename in/a.bin in/b.bin\nget in/b.bin %s\n-get /etc/passwd %s\n-put %s /etc/evil\n-put %s ../../../tmp/evil\n",
		local, back, back, local, local)
	out, stderr, code := r.openSSH([]byte(batch), "sftp", "-b", "-", "127.0.0.1")
	if code != 0 || !strings.Contains(out, "Remote working directory: /home/svc_meridian") {
		t.Errorf("sftp: %d\n%s\n%s", code, out, stderr)
	}
	same("sftp")
	if info, err := os.Stat(filepath.Join(r.HomeDir(), "in", "b.bin")); err != nil || info.Size() != int64(len(data)) {
		t.Errorf("at the device: %v %v", info, err)
	}
	for _, remote := range []string{"c.bin", "./in/c.bin", "/home/svc_meridian/d.bin"} {
		if _, stderr, code := r.openSSH(nil, "scp", "-p", local, "127.0.0.1:"+remote); code != 0 {
			t.Fatalf("scp to %s: %d %s", remote, code, stderr)
		}
		if _, stderr, code := r.openSSH(nil, "scp", "127.0.0.1:"+remote, back); code != 0 {
			t.Fatalf("scp from %s: %d %s", remote, code, stderr)
		}
		same("scp " + remote)
	}
	if info, err := os.Stat(filepath.Join(r.HomeDir(), "c.bin")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("scp -p lost the mode: %v %v", info, err)
	}
	if out, _, _ := r.do("sha256sum c.bin ~/in/b.bin; cat c.bin | x"); out != "" {
		t.Errorf("a refused line ran: %q", out)
	}
	sum := fmt.Sprintf("%x", sha256.Sum256(data))
	if out, _, _ := r.do("sha256sum c.bin ~/in/b.bin"); out != sum+"  c.bin\n"+sum+"  ~/in/b.bin\n" {
		t.Errorf("sha256sum: %q", out)
	}
	if _, stderr, code := r.openSSH(nil, "scp", "-O", local, "127.0.0.1:old.bin"); code == 0 {
		t.Errorf("scp's old protocol worked: %s", stderr)
	}
}

// A password typed by OpenSSH's own prompt, over both methods that ask for one.
func TestOpenSSHPasswords(t *testing.T) {
	r := launch(t)
	for method, secret := range map[string]string{"password": testPassword, "keyboard-interactive": testKeyboard} {
		script := filepath.Join(r.dir, "askpass")
		if err := os.WriteFile(script, []byte("#!/bin/sh\necho '"+secret+"'\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		env := []string{"SSH_ASKPASS=" + script, "SSH_ASKPASS_REQUIRE=force"}
		args := append(r.options(), "-o", "PubkeyAuthentication=no", "-o", "PreferredAuthentications="+method, "127.0.0.1", "whoami")
		if out, stderr, code := r.runClient(env, nil, "ssh", args...); out != "svc_meridian\n" || code != 0 {
			t.Errorf("%s: %q %q %d", method, out, stderr, code)
		}
	}
}
