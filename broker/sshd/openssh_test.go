package sshd

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
)

// laptop is an engineer's machine: unmodified OpenSSH with a configuration of its own.
type laptop struct {
	t    *testing.T
	door *opened
	dir  string
}

// newLaptop also puts an SSH server behind the door that runs "commands" for inner keys.
func newLaptop(t *testing.T, o *opened, inner gossh.PublicKey) *laptop {
	t.Helper()
	for _, tool := range []string{"ssh", "sftp"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%v: install openssh-client, .ci/peers does", err)
		}
	}
	host, _ := o.key(t, session.Identity{})
	o.agent = func(c net.Conn) { scanner(t, c, host, inner) }
	l := &laptop{t: t, door: o, dir: t.TempDir()}
	_, port, err := net.SplitHostPort(o.addr)
	if err != nil {
		t.Fatal(err)
	}
	l.write("known_hosts", fmt.Sprintf("[127.0.0.1]:%s %s\n%s %s\n", port, o.HostKeyLine(), granted, keyLine(host.PublicKey())))
	l.config(User, filepath.Join(l.dir, "key"))
	return l
}

func (l *laptop) write(name, text string) {
	l.t.Helper()
	if err := os.WriteFile(filepath.Join(l.dir, name), []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

// config writes an ssh_config of the shape that the CLI writes.
func (l *laptop) config(user string, identities ...string) {
	l.t.Helper()
	_, port, _ := net.SplitHostPort(l.door.addr)
	var keys strings.Builder
	for _, k := range identities {
		fmt.Fprintf(&keys, "  IdentityFile %s\n", k)
	}
	common := fmt.Sprintf("%s  IdentitiesOnly yes\n  IdentityAgent none\n  UserKnownHostsFile %s\n  GlobalKnownHostsFile /dev/null\n"+
		"  StrictHostKeyChecking yes\n  BatchMode yes\n  ControlMaster no\n  ControlPath none\n", keys.String(), filepath.Join(l.dir, "known_hosts"))
	l.write("config", fmt.Sprintf("Host recon-ssh.*\n  ProxyJump door\n  User sallyport\n%s\nHost door\n  HostName 127.0.0.1\n  Port %s\n  User %s\n%s",
		common, port, user, common))
}

// run runs a tool of OpenSSH and returns its output and what it said on stderr.
func (l *laptop) run(stdin string, tool string, args ...string) (out, said string, err error) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool, append([]string{"-F", filepath.Join(l.dir, "config")}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + l.dir}
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

// scanner is the SSH server at the far end; "cat" echoes, everything else is repeated.
func scanner(t *testing.T, c net.Conn, host gossh.Signer, trusted gossh.PublicKey) {
	config := &gossh.ServerConfig{PublicKeyCallback: func(_ gossh.ConnMetadata, key gossh.PublicKey) (*gossh.Permissions, error) {
		if trusted == nil || keyLine(key) != keyLine(trusted) {
			return nil, fmt.Errorf("unknown key")
		}
		return nil, nil
	}}
	config.AddHostKey(host)
	conn, chans, reqs, err := gossh.NewServerConn(c, config)
	if err != nil {
		return // the test sees what the client says
	}
	defer conn.Close()
	go gossh.DiscardRequests(reqs)
	for nc := range chans {
		ch, reqs, err := nc.Accept()
		if err != nil {
			return
		}
		for req := range reqs {
			if req.Type != "exec" {
				_ = req.Reply(false, nil)
				continue
			}
			_ = req.Reply(true, nil)
			if command := string(req.Payload[4:]); command == "cat" {
				_, _ = io.Copy(ch, ch)
			} else {
				fmt.Fprintf(ch, "ran %s\n", command)
			}
			_, _ = ch.SendRequest("exit-status", false, []byte{0, 0, 0, 7})
			ch.Close()
		}
	}
}

// An engineer's own ssh, with one key for both hops, in each spelling of a jump.
func TestOpenSSH(t *testing.T) {
	o := openDoor(t)
	signer, priv := o.key(t, jana)
	l := newLaptop(t, o, signer.PublicKey())
	writeKey(t, l.dir, "key", priv)
	proxy := fmt.Sprintf("ProxyCommand=ssh -F %s -W %%h:%%p door", filepath.Join(l.dir, "config"))
	for name, args := range map[string][]string{
		"ProxyJump in the configuration": {granted, "swversion"},
		"-J":                             {"-J", "door", granted, "swversion"},
		"-W":                             {"-o", proxy, granted, "swversion"},
		"keepalives":                     {"-o", "ServerAliveInterval=1", granted, "swversion"},
	} {
		t.Run(name, func(t *testing.T) {
			out, said, err := l.run("", "ssh", args...)
			if out != "ran swversion\n" || exitCode(err) != 7 {
				t.Errorf("printed %q, %v\n%s", out, err, said)
			}
		})
	}
	big := strings.Repeat("all of it arrives ", 200_000)
	if out, said, err := l.run(big, "ssh", granted, "cat"); out != big || exitCode(err) != 7 {
		t.Errorf("%d of %d bytes came back, %v\n%s", len(out), len(big), err, said)
	}
	for _, who := range o.routedFor() {
		if who != jana {
			t.Errorf("routed for %v", who)
		}
	}
}

func exitCode(err error) int {
	exit, ok := err.(*exec.ExitError)
	if !ok {
		return -1
	}
	return exit.ExitCode()
}

// What an engineer reads on their own terminal when it does not work.
func TestOpenSSHSaysWhy(t *testing.T) {
	o := openDoor(t)
	signer, priv := o.key(t, jana)
	_, unknown := o.key(t, session.Identity{})
	l := newLaptop(t, o, signer.PublicKey())
	known := writeKey(t, l.dir, "key", priv)
	other := writeKey(t, l.dir, "other", unknown)
	pending := session.Errorf(session.Refused, "The hospital has not answered your request R-abc yet.").WithNext("Wait for it: sallyport request show R-abc --wait")

	for name, c := range map[string]struct {
		user    string
		keys    []string
		refusal error
		args    []string
		want    []string
	}{
		"nothing was requested": {UserNoKey, []string{"none"}, nil, []string{granted, "id"},
			[]string{"there is no key on this machine", "nothing was requested", "sallyport request new"}},
		"unknown key": {User, []string{other}, nil, []string{granted, "id"},
			[]string{"this key belongs to no live request", "sallyport request new"}},
		"not granted yet": {User, []string{known}, pending, []string{granted, "id"},
			[]string{"open failed: administratively prohibited: The hospital has not answered your request R-abc yet. Wait for it: sallyport request show R-abc --wait"}},
		"agent away": {User, []string{known}, session.Errorf(session.Unreachable, "The agent of NGH is not connected."), []string{granted, "id"},
			[]string{"open failed: connect failed: The agent of NGH is not connected."}},
		"another scanner": {User, []string{known}, nil, []string{"-W", "recon-ssh.ngh-mr1:22", "door"},
			[]string{"administratively prohibited: you have no grant for recon-ssh.ngh-mr1"}},
		"another port": {User, []string{known}, nil, []string{"-W", granted + ":3389", "door"},
			[]string{"administratively prohibited: the name of a scanner's service is expected"}},
		"shell on the door": {User, []string{known}, nil, []string{"door", "id"},
			[]string{"administratively prohibited: this door has no shell"}},
		"remote forwarding": {User, []string{known}, nil, []string{"-o", "ExitOnForwardFailure=yes", "-N", "-R", "0:127.0.0.1:1", "door"},
			[]string{"remote port forwarding failed"}},
		"password only": {User, []string{"none"}, nil, []string{"-o", "PubkeyAuthentication=no", "-o", "PreferredAuthentications=password,keyboard-interactive", "door"},
			[]string{"Permission denied (publickey)"}},
	} {
		t.Run(name, func(t *testing.T) {
			l.config(c.user, c.keys...)
			o.desk.mu.Lock()
			o.refusal = c.refusal
			o.desk.mu.Unlock()
			out, said, err := l.run("", "ssh", c.args...)
			if code := exitCode(err); code != 255 || out != "" {
				t.Errorf("exit %d, printed %q", code, out)
			}
			for _, want := range c.want {
				if !strings.Contains(said, want) {
					t.Errorf("ssh said %q, which lacks %q", said, want)
				}
			}
		})
	}
	if n := len(o.opened()); n != 0 {
		t.Errorf("%d streams reached an agent", n)
	}
}

// A public key file without its private half makes ssh offer a key that it cannot
// sign for and go on to the next: the session is the next one's.
func TestOpenSSHOffersAKeyItCannotProve(t *testing.T) {
	o := openDoor(t)
	hers, _ := o.key(t, jana)
	his, priv := o.key(t, luis)
	l := newLaptop(t, o, his.PublicKey())
	l.write("hers.pub", keyLine(hers.PublicKey())+"\n")
	own := writeKey(t, l.dir, "key", priv)
	l.config(User, filepath.Join(l.dir, "hers"), own)
	out, said, err := l.run("", "ssh", granted, "id")
	if out != "ran id\n" {
		t.Fatalf("printed %q, %v\n%s", out, err, said)
	}
	for _, who := range o.routedFor() {
		if who != luis {
			t.Errorf("routed for %v, who never signed", who)
		}
	}
	l.config(User, filepath.Join(l.dir, "hers"))
	if out, _, err := l.run("", "ssh", granted, "id"); out != "" || exitCode(err) != 255 {
		t.Errorf("a public key alone printed %q, %v", out, err)
	}
}

// The configuration lists the three newest keys; an old one before the live one
// costs a try and not the way in.
func TestOpenSSHThreeKeys(t *testing.T) {
	o := openDoor(t)
	_, old := o.key(t, session.Identity{})
	_, older := o.key(t, session.Identity{})
	live, priv := o.key(t, jana)
	l := newLaptop(t, o, live.PublicKey())
	l.config(User, writeKey(t, l.dir, "a", old), writeKey(t, l.dir, "b", older), writeKey(t, l.dir, "c", priv))
	out, said, err := l.run("", "ssh", granted, "id")
	if out != "ran id\n" || exitCode(err) != 7 {
		t.Errorf("printed %q, %v\n%s", out, err, said)
	}
}

// Whoever stands in for the door is noticed: the key of known_hosts is the door's.
func TestOpenSSHNoticesAnotherDoor(t *testing.T) {
	o := openDoor(t)
	signer, priv := o.key(t, jana)
	stranger, _ := o.key(t, session.Identity{})
	l := newLaptop(t, o, signer.PublicKey())
	writeKey(t, l.dir, "key", priv)
	_, port, err := net.SplitHostPort(o.addr)
	if err != nil {
		t.Fatal(err)
	}
	l.write("known_hosts", fmt.Sprintf("[127.0.0.1]:%s %s\n", port, keyLine(stranger.PublicKey())))
	_, said, err := l.run("", "ssh", granted, "id")
	if exitCode(err) != 255 || !strings.Contains(said, "REMOTE HOST IDENTIFICATION HAS CHANGED") {
		t.Errorf("another door was not noticed: %v\n%s", err, said)
	}
}
