package shell

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session"
)

// sshd is a real OpenSSH server, started as the current user.
type sshd struct {
	addr   string
	user   string
	signer gossh.Signer
	host   gossh.PublicKey
}

func startSSHD(t *testing.T) *sshd {
	t.Helper()
	dir := t.TempDir()
	hostKey, hostPub := writeKey(t, filepath.Join(dir, "host"))
	_, userPub := writeKey(t, filepath.Join(dir, "user"))
	raw, err := os.ReadFile(filepath.Join(dir, "user"))
	must(t, err)
	signer, err := gossh.ParsePrivateKey(raw)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "authorized"), gossh.MarshalAuthorizedKey(userPub), 0o600))
	port := freePort(t)
	config := fmt.Sprintf(`
Port %d
ListenAddress 127.0.0.1
HostKey %s
PidFile none
AuthorizedKeysFile %s
StrictModes no
UsePAM no
PasswordAuthentication no
MaxSessions 50
PermitRootLogin yes
AcceptEnv LANG LC_* SECRET
Subsystem sftp internal-sftp
`, port, hostKey, filepath.Join(dir, "authorized"))
	must(t, os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600))
	if os.Getuid() == 0 {
		must(t, os.MkdirAll("/run/sshd", 0o755)) // OpenSSH insists when it runs as root
	}
	cmd := exec.Command("/usr/sbin/sshd", "-D", "-e", "-f", filepath.Join(dir, "config"))
	var log bytes.Buffer
	cmd.Stderr = &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("sshd: %s", log.String())
		}
	})
	me, err := user.Current()
	must(t, err)
	d := &sshd{addr: fmt.Sprintf("127.0.0.1:%d", port), user: me.Username, signer: signer, host: hostPub}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", d.addr)
		if err == nil {
			_ = c.Close()
			return d
		}
		if time.Now().After(deadline) {
			t.Fatalf("sshd does not answer: %v", err)
		}
	}
}

func (d *sshd) dial(ctx context.Context) (*gossh.Client, error) {
	return gossh.Dial("tcp", d.addr, &gossh.ClientConfig{
		User: d.user, Auth: []gossh.AuthMethod{gossh.PublicKeys(d.signer)}, HostKeyCallback: gossh.FixedHostKey(d.host),
	})
}

func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// writeKey writes a fresh ed25519 key pair as OpenSSH keeps it.
func writeKey(t *testing.T, path string) (string, gossh.PublicKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	block, err := gossh.MarshalPrivateKey(private, "")
	must(t, err)
	must(t, os.WriteFile(path, pem.EncodeToMemory(block), 0o600))
	key, err := gossh.NewPublicKey(public)
	must(t, err)
	must(t, os.WriteFile(path+".pub", gossh.MarshalAuthorizedKey(key), 0o600))
	return path, key
}

// client is an engineer with OpenSSH.
type client struct {
	t    *testing.T
	dir  string
	opts []string
	port string
}

func (w *world) openSSH(channels ...session.Channel) (*client, *engine.Ticket) {
	w.t.Helper()
	dir := w.t.TempDir()
	key, public := writeKey(w.t, filepath.Join(dir, "id"))
	host, port, err := net.SplitHostPort(w.addr)
	must(w.t, err)
	known := fmt.Sprintf("[%s]:%s %s", host, port, gossh.MarshalAuthorizedKey(w.agent))
	must(w.t, os.WriteFile(filepath.Join(dir, "known"), []byte(known), 0o600))
	p := w.admit(public, channels...)
	return &client{t: w.t, dir: dir, port: port, opts: []string{"-F", "none", "-i", key,
		"-o", "UserKnownHostsFile=" + filepath.Join(dir, "known"), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
		"-o", "User=sallyport", "-o", "Port=" + port, "-o", "StrictHostKeyChecking=yes", "-o", "IdentityAgent=none"}}, p
}

// run runs a program of OpenSSH and returns what it printed and its exit status.
func (c *client) run(stdin []byte, name string, args ...string) (out, errOut string, status int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, append(append([]string(nil), c.opts...), args...)...)
	cmd.Dir = c.dir
	cmd.Stdin = bytes.NewReader(stdin)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		c.t.Fatal(err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

// The unmodified OpenSSH client against an unmodified OpenSSH server, through the agent.
func TestOpenSSH(t *testing.T) {
	t.Parallel()
	d := startSSHD(t)
	w := newWorld(t, d.dial)
	c, _ := w.openSSH(all()...)

	t.Run("exit status and both outputs", func(t *testing.T) {
		out, errOut, status := c.run(nil, "ssh", "127.0.0.1", "echo out; echo err >&2; exit 3")
		if out != "out\n" || !strings.Contains(errOut, "err\n") || status != 3 {
			t.Errorf("%q, %q, %d", out, errOut, status)
		}
	})
	t.Run("exit by signal", func(t *testing.T) {
		if _, _, status := c.run(nil, "ssh", "127.0.0.1", "kill -TERM $$"); status != 255 {
			t.Errorf("status %d", status)
		}
	})
	t.Run("binary input and output", func(t *testing.T) {
		sent := make([]byte, 1<<20)
		_, _ = rand.Read(sent)
		out, errOut, status := c.run(sent, "ssh", "127.0.0.1", "cat")
		if out != string(sent) || status != 0 {
			t.Errorf("%d of %d bytes came back, status %d, %s", len(out), len(sent), status, errOut)
		}
	})
	t.Run("big output", func(t *testing.T) {
		out, _, status := c.run(nil, "ssh", "127.0.0.1", "seq 1 2000000")
		want, err := exec.Command("seq", "1", "2000000").Output()
		must(t, err)
		if sha256.Sum256([]byte(out)) != sha256.Sum256(want) || status != 0 {
			t.Errorf("%d of %d bytes, status %d", len(out), len(want), status)
		}
	})
	t.Run("shell with a terminal", func(t *testing.T) {
		before := w.count()
		out, errOut, status := c.run([]byte("stty size; tty; exit 5\n"), "ssh", "-tt", "127.0.0.1")
		if !strings.Contains(out, "/dev/pts/") || status != 5 {
			t.Errorf("%q, %q, %d", out, errOut, status)
		}
		r := w.tape(before)
		r.wait(t)
		if string(r.data(session.Output)) != out {
			t.Error("the recording does not show what the engineer saw")
		}
		if open := documents[session.ChannelOpen](t, r, session.ChannelOpened); len(open) != 1 || open[0].Type != session.Shell {
			t.Errorf("%+v", open)
		}
	})
	t.Run("many commands over one connection", func(t *testing.T) {
		before := w.count()
		control := filepath.Join(c.dir, "control")
		_, errOut, status := c.run(nil, "ssh", "-o", "ControlPath="+control, "-o", "ControlMaster=yes", "-o", "ControlPersist=yes", "127.0.0.1", "true")
		if status != 0 {
			t.Fatalf("%s", errOut)
		}
		for i := range 3 {
			if out, _, _ := c.run(nil, "ssh", "-o", "ControlPath="+control, "127.0.0.1", fmt.Sprintf("echo %d", i)); out != fmt.Sprintf("%d\n", i) {
				t.Errorf("%q", out)
			}
		}
		c.run(nil, "ssh", "-o", "ControlPath="+control, "-O", "exit", "127.0.0.1")
		r := w.tape(before)
		r.wait(t)
		if n := len(documents[session.ChannelOpen](t, r, session.ChannelOpened)); n != 4 || w.count() != before+1 {
			t.Errorf("%d channels on %d recordings", n, w.count()-before)
		}
	})
}

func (w *world) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.tapes)
}

// Files by scp and sftp, both ways, with modes and times, and their record.
func TestOpenSSHFiles(t *testing.T) {
	t.Parallel()
	d := startSSHD(t)
	w := newWorld(t, d.dial)
	c, _ := w.openSSH(session.FilesIn, session.FilesOut)
	far := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(c.dir, "tree/sub"), 0o750))
	content := map[string][]byte{"tree/a.bin": make([]byte, 3<<20+17), "tree/sub/empty": nil, "tree/sub/größe.txt": []byte("hello\n")}
	for name, b := range content {
		_, _ = rand.Read(b)
		must(t, os.WriteFile(filepath.Join(c.dir, name), b, 0o640))
	}
	must(t, os.Chmod(filepath.Join(c.dir, "tree/a.bin"), 0o750))
	old := time.Unix(1_500_000_000, 0)
	must(t, os.Chtimes(filepath.Join(c.dir, "tree/a.bin"), old, old))

	for _, how := range [][]string{{"-r"}, {"-r", "-p"}} {
		target := "plain"
		if len(how) > 1 {
			target = "kept"
		}
		before := w.count()
		if out, errOut, status := c.run(nil, "scp", append(how, "tree", "127.0.0.1:"+filepath.Join(far, target))...); status != 0 {
			t.Fatalf("scp up: %d %s %s", status, out, errOut)
		}
		if out, errOut, status := c.run(nil, "scp", append(how, "127.0.0.1:"+filepath.Join(far, target), "back-"+target)...); status != 0 {
			t.Fatalf("scp down: %d %s %s", status, out, errOut)
		}
		for name, b := range content {
			name = strings.TrimPrefix(name, "tree/")
			for _, at := range []string{filepath.Join(far, target, name), filepath.Join(c.dir, "back-"+target, name)} {
				got, err := os.ReadFile(at)
				if err != nil || !bytes.Equal(got, b) {
					t.Errorf("%s: %d bytes, %v", at, len(got), err)
				}
			}
		}
		info, err := os.Stat(filepath.Join(far, target, "a.bin"))
		must(t, err)
		if info.Mode().Perm() != 0o750 || (target == "kept") != info.ModTime().Equal(old) {
			t.Errorf("%s: mode %v, time %v", target, info.Mode(), info.ModTime())
		}
		for i, kind := range []session.Channel{session.FilesIn, session.FilesOut} {
			r := w.tape(before + i)
			r.wait(t)
			sums := map[string]string{}
			for _, s := range documents[session.FileSummary](t, r, session.FileClosed) {
				if s.Direction != kind || s.Reason != "" {
					t.Errorf("%+v", s)
				}
				sums[strings.TrimPrefix(s.Path, filepath.Join(far, target)+"/")] = s.SHA256
			}
			for name, b := range content {
				sum := sha256.Sum256(b)
				if got := sums[strings.TrimPrefix(name, "tree/")]; got != hex.EncodeToString(sum[:]) {
					t.Errorf("%s %s: hash on record is %q", kind, name, got)
				}
			}
		}
	}
	batch := "mkdir new\nput tree/a.bin new/b.bin\nrename new/b.bin new/c.bin\nchmod 600 new/c.bin\nln -s c.bin new/link\nls -l new\nget new/c.bin c.bin\nrm new/link\nrm new/c.bin\nrmdir new\n"
	out, errOut, status := c.run([]byte("cd "+far+"\n"+batch), "sftp", "-b", "-", "127.0.0.1")
	if got, err := os.ReadFile(filepath.Join(c.dir, "c.bin")); status != 0 || err != nil || !bytes.Equal(got, content["tree/a.bin"]) {
		t.Fatalf("sftp: %d %s %s %v", status, out, errOut, err)
	}
	if left, err := os.ReadDir(far); err != nil || len(left) != 2 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// What is not granted is refused with a line that says what to do instead.
func TestOpenSSHRefusals(t *testing.T) {
	t.Parallel()
	d := startSSHD(t)
	w := newWorld(t, d.dial)
	files, _ := w.openSSH(session.FilesIn, session.FilesOut)
	shell, _ := w.openSSH(session.Shell)
	out, _ := w.openSSH(session.FilesOut)
	in, _ := w.openSSH(session.FilesIn)
	stranger, _ := w.openSSH()
	w.rights.mu.Lock()
	for line, p := range w.rights.keys {
		if len(p.Channels) == 0 {
			delete(w.rights.keys, line)
		}
	}
	w.rights.mu.Unlock()
	far := t.TempDir()
	must(t, os.WriteFile(filepath.Join(far, "secret"), []byte("42"), 0o600))
	must(t, os.WriteFile(filepath.Join(files.dir, "x"), []byte("x"), 0o600))
	must(t, os.WriteFile(filepath.Join(out.dir, "x"), []byte("x"), 0o600))
	for _, test := range []struct {
		name string
		c    *client
		args []string
		want string
	}{
		{"exec", files, []string{"ssh", "127.0.0.1", "id"}, "This grant does not include running commands. It moves files: use scp or sftp."},
		{"shell", files, []string{"ssh", "-tt", "127.0.0.1"}, "This grant does not include a shell."},
		{"old scp up", files, []string{"scp", "-O", "x", "127.0.0.1:" + far + "/y"}, "Use scp without -O"},
		{"old scp down", files, []string{"scp", "-O", "127.0.0.1:" + far + "/secret", "z"}, "Use scp without -O"},
		{"exec with a shell only", shell, []string{"ssh", "127.0.0.1", "id"}, "This grant does not include running commands."},
		{"sftp with a shell only", shell, []string{"sftp", "-b", "/dev/null", "127.0.0.1"}, "This grant does not include file transfer."},
		{"upload with files-out", out, []string{"scp", "x", "127.0.0.1:" + far + "/y"}, "ermission denied"},
		{"download with files-in", in, []string{"scp", "127.0.0.1:" + far + "/secret", "z"}, "ermission denied"},
		{"unknown key", stranger, []string{"ssh", "127.0.0.1", "id"}, "Sallyport: This key opens nothing. Request access."},
		{"forwarding", shell, []string{"ssh", "-W", "127.0.0.1:22", "127.0.0.1"}, "only shell, exec and sftp pass"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, errOut, status := test.c.run(nil, test.args[0], test.args[1:]...)
			if status == 0 || !strings.Contains(errOut+got, test.want) {
				t.Errorf("status %d, %q", status, errOut)
			}
		})
	}
	if left, _ := os.ReadDir(far); len(left) != 1 {
		t.Errorf("something was written: %v", left)
	}
}
