package simulator

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func petct() session.Asset {
	return session.Asset{Name: "NGH-PETCT1", Label: "Helion 64", Modality: "PT/CT"}
}

// noon is a fixed time; values and log at it never change.
func noon() time.Time { return time.Date(2026, 11, 23, 12, 4, 51, 0, time.UTC) }

// rig is a scanner that answers on a loopback port.
type rig struct {
	*testing.T
	*Scanner
	addr    string
	dir     string
	keyFile string // an authorized private key, for OpenSSH
	signer  ssh.Signer
}

const (
	testPassword = "correct horse"
	testKeyboard = "battery staple"
)

func launch(t *testing.T, edit ...func(*Config)) *rig {
	t.Helper()
	r := &rig{T: t, dir: t.TempDir()}
	r.makeKey()
	cfg := Config{
		Asset: petct(), Dir: filepath.Join(r.dir, "state"), Now: noon, Pace: -1, Seed: 7,
		Password: testPassword, Keyboard: testKeyboard, AuthorizedKeys: []ssh.PublicKey{r.signer.PublicKey()},
	}
	for _, e := range edit {
		e(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.Scanner = s
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return r
}

func (r *rig) makeKey() {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		r.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		r.Fatal(err)
	}
	r.keyFile = filepath.Join(r.dir, "id_ed25519")
	if err := os.WriteFile(r.keyFile, pem.EncodeToMemory(block), 0o600); err != nil {
		r.Fatal(err)
	}
	if r.signer, err = ssh.NewSignerFromKey(key); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) dial(user string, auth ...ssh.AuthMethod) (*ssh.Client, error) {
	return ssh.Dial("tcp", r.addr, &ssh.ClientConfig{
		User: user, Auth: auth, HostKeyCallback: ssh.FixedHostKey(r.HostKey()), Timeout: 10 * time.Second,
	})
}

func (r *rig) client() *ssh.Client {
	r.Helper()
	c, err := r.dial("svc_meridian", ssh.Password(testPassword))
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { c.Close() })
	return c
}

func (r *rig) session(c *ssh.Client) *ssh.Session {
	r.Helper()
	s, err := c.NewSession()
	if err != nil {
		r.Fatal(err)
	}
	return s
}

// status is what a program ended with: a number, or a signal's name.
func status(t *testing.T, err error) string {
	t.Helper()
	var exit *ssh.ExitError
	switch {
	case err == nil:
		return "0"
	case !errors.As(err, &exit):
		t.Fatalf("no exit status: %v", err)
	case exit.Signal() != "":
		return exit.Signal()
	}
	return fmt.Sprint(exit.ExitStatus())
}

// do runs a command line over exec.
func (r *rig) do(line string) (stdout, stderr, state string) {
	r.Helper()
	var out, errs bytes.Buffer
	s := r.session(r.client())
	s.Stdout, s.Stderr = &out, &errs
	err := s.Run(line)
	return out.String(), errs.String(), status(r.T, err)
}

func TestLogins(t *testing.T) {
	r := launch(t)
	answer := func(with string) ssh.AuthMethod {
		return ssh.KeyboardInteractive(func(_, _ string, q []string, _ []bool) ([]string, error) {
			return slices.Repeat([]string{with}, len(q)), nil
		})
	}
	stranger := &rig{T: t, dir: t.TempDir()}
	stranger.makeKey()
	cases := []struct {
		name, user string
		auth       ssh.AuthMethod
		in         bool
	}{
		{"password", "svc_meridian", ssh.Password(testPassword), true},
		{"keyboard", "svc_meridian", answer(testKeyboard), true},
		{"key", "svc_meridian", ssh.PublicKeys(r.signer), true},
		{"wrong password", "svc_meridian", ssh.Password("wrong"), false},
		{"empty password", "svc_meridian", ssh.Password(""), false},
		{"the other method's password", "svc_meridian", answer(testPassword), false},
		{"another key", "svc_meridian", ssh.PublicKeys(stranger.signer), false},
		{"another user", "root", ssh.Password(testPassword), false},
		{"another user's key", "root", ssh.PublicKeys(r.signer), false},
		{"no user", "", answer(testKeyboard), false},
		{"none", "svc_meridian", nil, false},
	}
	for _, c := range cases {
		var auth []ssh.AuthMethod
		if c.auth != nil {
			auth = append(auth, c.auth)
		}
		conn, err := r.dial(c.user, auth...)
		if (err == nil) != c.in {
			t.Errorf("%s: %v", c.name, err)
		}
		if conn != nil {
			conn.Close()
		}
	}
	offers := r.Offered()
	for _, want := range []string{`password "root"`, `publickey "svc_meridian" ` + ssh.FingerprintSHA256(stranger.signer.PublicKey())} {
		if !slices.Contains(offers, want) {
			t.Errorf("%q is not among %q", want, offers)
		}
	}
	if all := strings.Join(offers, " "); strings.Contains(all, "horse") || strings.Contains(all, "wrong") {
		t.Error("a secret was kept")
	}
}

// A method that is not configured is not offered at all.
func TestOnlyConfiguredMethods(t *testing.T) {
	r := launch(t, func(c *Config) { c.Keyboard, c.AuthorizedKeys = "", nil })
	if _, err := r.dial("svc_meridian", ssh.PublicKeys(r.signer)); err == nil {
		t.Error("a key opened a scanner without keys")
	}
	anything := ssh.KeyboardInteractive(func(_, _ string, q []string, _ []bool) ([]string, error) { return make([]string, len(q)), nil })
	if _, err := r.dial("svc_meridian", anything); err == nil {
		t.Error("an empty answer opened a scanner without keyboard-interactive")
	}
	if n := len(r.Offered()); n != 0 {
		t.Errorf("%d logins were tried", n)
	}
	for name, edit := range map[string]func(*Config){
		"nobody can log in": func(c *Config) { c.Password = "" },
		"no asset":          func(c *Config) { c.Asset.Name = "" },
		"a user as path":    func(c *Config) { c.User = "../x" },
		"no directory":      func(c *Config) { c.Dir = "" },
	} {
		cfg := Config{Asset: petct(), Dir: t.TempDir(), Password: "x"}
		edit(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestHostKeyOutlivesRestarts(t *testing.T) {
	cfg := Config{Asset: petct(), Dir: t.TempDir(), Password: "x"}
	first, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	second, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.HostKey().Marshal(), second.HostKey().Marshal()) {
		t.Error("the host key changed")
	}
}

func TestExecStatus(t *testing.T) {
	r := launch(t)
	for line, want := range map[string]string{
		"true": "0", "false": "1", "exit 42": "42", "exit": "0", "exit nine": "2", "exit 256": "0",
		"no-such-thing": "127", "scp -t x": "127", "sleep 0": "0", "sleep soon": "2", "": "0", "# nothing": "0",
		"cat /etc/passwd": "1", "cat ../../etc/passwd": "1", "false; true": "0", "false && true": "1", "false || true": "0",
		"true && exit 3 && true": "3", "echo x | cat": "2", "echo x > y": "2", "echo `id`": "2", "echo $(id)": "2", "echo 'x": "2",
		"sleep 60 &": "2",
	} {
		if _, stderr, got := r.do(line); got != want {
			t.Errorf("%q: %s, want %s (%s)", line, got, want, stderr)
		}
	}
	if _, stderr, _ := r.do("no-such-thing"); stderr != "no-such-thing: command not found (help lists the service commands)\n" {
		t.Errorf("unknown command: %q", stderr)
	}
	if out, _, _ := r.do(`false; echo $? "two  words" 'it''s' a\ b; pwd; hostname`); out != "1 two  words its a b\n/home/svc_meridian\nNGH-PETCT1\n" {
		t.Errorf("%q", out)
	}
}

// What goes in comes out, and every byte of it is counted.
func TestBinaryRoundTripIsCounted(t *testing.T) {
	r := launch(t)
	data := make([]byte, 3<<20+17)
	if _, err := rand.Read(data); err != nil {
		t.Fatal(err)
	}
	s := r.session(r.client())
	var out bytes.Buffer
	s.Stdin, s.Stdout = bytes.NewReader(data), &out
	if err := s.Run("cat"); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), data) {
		t.Errorf("%d bytes came back changed", out.Len())
	}
	if n := r.BytesIn(); n != int64(len(data)) {
		t.Errorf("%d bytes counted of %d", n, len(data))
	}
}

// The count is an oracle: it also holds what no program reads.
func TestUnreadBytesAreCounted(t *testing.T) {
	r := launch(t)
	c := r.client()
	before := r.BytesIn()
	ch, reqs, err := c.OpenChannel("session", nil)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { ssh.DiscardRequests(reqs) })
	// Before any program, on the error stream, and beside a program that does not read.
	mustWrite(t, ch, 1000)
	mustWrite(t, ch.Stderr(), 200)
	if ok, err := ch.SendRequest("exec", true, ssh.Marshal(struct{ Line string }{"sleep 0.05"})); !ok || err != nil {
		t.Fatal(ok, err)
	}
	mustWrite(t, ch, 300_000)
	_, _ = io.Copy(io.Discard, ch)
	ch.Close()
	// Only then the connection: closed with bytes in flight, TCP resets and drops them.
	waitFor(t, func() bool { return r.BytesIn()-before == 301_200 }, func() string { return fmt.Sprint(r.BytesIn() - before) })
	c.Close()
}

func mustWrite(t *testing.T, w io.Writer, n int) {
	t.Helper()
	if _, err := w.Write(make([]byte, n)); err != nil {
		t.Fatal(err)
	}
}

// waitFor polls for what another machine does in its own time.
func waitFor(t *testing.T, done func() bool, got func() string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("did not happen: %s", got())
		}
	}
}

// Every channel and request that is not a plain session is refused, and written down.
func TestRefusalsAreSeen(t *testing.T) {
	r := launch(t)
	c := r.client()
	for _, kind := range []string{"direct-tcpip", "forwarded-tcpip", "x11", "auth-agent@openssh.com", "direct-streamlocal@openssh.com", "tun@openssh.com", "nonsense"} {
		var open *ssh.OpenChannelError
		if _, _, err := c.OpenChannel(kind, []byte("payload")); !errors.As(err, &open) || open.Reason != ssh.Prohibited {
			t.Errorf("channel %s: %v", kind, err)
		}
	}
	for _, kind := range []string{"tcpip-forward", "streamlocal-forward@openssh.com", "keepalive@openssh.com", "hostkeys-prove-00@openssh.com"} {
		if ok, _, err := c.SendRequest(kind, true, nil); ok || err != nil {
			t.Errorf("global %s: %v %v", kind, ok, err)
		}
	}
	s := r.session(c)
	for _, kind := range []string{"auth-agent-req@openssh.com", "x11-req", "env", "break", "xon-xoff", "window-change", "signal", "eow@openssh.com", "pty-req", "exec"} {
		if ok, err := s.SendRequest(kind, true, []byte("x")); ok || err != nil {
			t.Errorf("request %s: %v %v", kind, ok, err)
		}
	}
	for _, sub := range []string{"netconf", "SFTP", "sftp "} {
		if ok, _ := s.SendRequest("subsystem", true, ssh.Marshal(struct{ Name string }{sub})); ok {
			t.Errorf("subsystem %q was accepted", sub)
		}
	}
	if err := s.Setenv("LD_PRELOAD", "x"); err == nil {
		t.Error("env was accepted")
	}
	if err := s.Start("sleep 60"); err != nil {
		t.Fatal(err)
	}
	for kind, payload := range map[string][]byte{"shell": nil, "exec": ssh.Marshal(struct{ Line string }{"true"}), "subsystem": ssh.Marshal(struct{ Name string }{"sftp"})} {
		if ok, _ := s.SendRequest(kind, true, payload); ok {
			t.Errorf("a second program (%s) was started on the channel", kind)
		}
	}
	want := []string{"open direct-tcpip", "open nonsense", "global tcpip-forward", "open session", "request x11-req", "request env LD_PRELOAD=x", "request exec sleep 60", "request subsystem netconf"}
	for _, w := range want {
		if !slices.Contains(r.Seen(), w) {
			t.Errorf("%q is not among %q", w, r.Seen())
		}
	}
	if n := r.BytesIn(); n != 0 {
		t.Errorf("%d bytes", n)
	}
}

func TestSignalsEndPrograms(t *testing.T) {
	r := launch(t)
	for _, sig := range []ssh.Signal{ssh.SIGINT, ssh.SIGTERM, ssh.SIGKILL, ssh.SIGHUP} {
		for _, line := range []string{"sleep 600", "cat", "flood 60G"} {
			s := r.session(r.client())
			if _, err := s.StdinPipe(); err != nil { // else cat ends by itself
				t.Fatal(err)
			}
			if err := s.Start(line); err != nil {
				t.Fatal(err)
			}
			if err := s.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if got := status(t, s.Wait()); got != string(sig) {
				t.Errorf("%s of %s: ended with %s", sig, line, got)
			}
		}
	}
}

// A client that stops reading and goes away leaves nothing behind; goleak says so.
func TestHangingUpEndsEverything(t *testing.T) {
	r := launch(t)
	for _, line := range []string{"sleep 600", "cat", "flood 60G"} {
		c := r.client()
		s := r.session(c)
		if _, err := s.StdoutPipe(); err != nil { // never read
			t.Fatal(err)
		}
		if err := s.Start(line); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
}

func TestFloodIsExact(t *testing.T) {
	r := launch(t)
	out, _, _ := r.do("flood 100001")
	if len(out) != 100001 || !strings.HasPrefix(out[64*1562:], "000000000001562 ") {
		t.Errorf("%d bytes", len(out))
	}
	for _, bad := range []string{"flood", "flood x", "flood -1", "flood 99999G", "flood 1 2", "flood ''"} {
		if _, _, got := r.do(bad); got != "2" {
			t.Errorf("%s: %s", bad, got)
		}
	}
}
