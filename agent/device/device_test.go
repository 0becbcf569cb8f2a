package device

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
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

	"github.com/goccy/go-yaml"
	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func reference(t testing.TB, s string) secret.Reference {
	t.Helper()
	r, err := secret.Parse(s)
	must(t, err)
	return r
}

func writeSecret(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

const password = "pw-canary-2f61"

// scanner is a device made with x/crypto, with the logins that a test wants.
type scanner struct {
	addr string
	host ssh.Signer
}

func newScanner(t *testing.T, change func(*ssh.ServerConfig)) *scanner {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	host, err := ssh.NewSignerFromKey(key)
	must(t, err)
	config := &ssh.ServerConfig{}
	change(config)
	config.AddHostKey(host)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var work sync.WaitGroup
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				sc, channels, requests, err := ssh.NewServerConn(c, config)
				if err != nil {
					return
				}
				work.Go(func() { ssh.DiscardRequests(requests) })
				for nc := range channels {
					_ = nc.Reject(ssh.Prohibited, "")
				}
				_ = sc.Close()
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); work.Wait() })
	return &scanner{addr: l.Addr().String(), host: host}
}

func (s *scanner) target(login Login) Target {
	host, port, _ := net.SplitHostPort(s.addr)
	n := 0
	_, _ = fmt.Sscan(port, &n)
	return Target{Asset: "NGH-PETCT1", Endpoint: "recon", Service: "recon-ssh", Address: host, Port: n, Protocol: session.SSH,
		Login: login, HostKey: ssh.FingerprintSHA256(s.host.PublicKey()), Timeout: 5 * time.Second}
}

// try dials once and says how it went; the log must stay free of secrets.
func try(t *testing.T, target Target) error {
	t.Helper()
	var log bytes.Buffer
	d, err := New([]Target{target}, slog.New(slog.NewTextHandler(&log, nil)))
	must(t, err)
	known, err := d.target(target.Asset, target.Service, session.SSH)
	must(t, err)
	c, err := known.dialSSH(context.Background())
	if err == nil {
		_ = c.Close()
		_ = c.Wait()
	}
	if text := fmt.Sprintf("%v %+v %s", err, err, log.String()); strings.Contains(text, password) {
		t.Errorf("the secret shows: %s", text)
	}
	return err
}

// refused checks that an error is of a kind, speaks to a person, and hides where and
// as whom the agent logs in.
func refused(t *testing.T, err error, kind session.Kind, words string) {
	t.Helper()
	var e *session.Error
	if !errors.As(err, &e) || e.Kind != kind || !strings.Contains(e.Message, words) || e.Next == "" {
		t.Errorf("got %#v, want %s: %s", err, kind, words)
		return
	}
	for _, hidden := range []string{"127.0.0.1", "svc-login", password} {
		if strings.Contains(e.Message+e.Next, hidden) {
			t.Errorf("%q shows in %q", hidden, e.Message+e.Next)
		}
	}
}

func TestZeroTicketReachesNoDevice(t *testing.T) {
	s := newScanner(t, func(c *ssh.ServerConfig) { c.NoClientAuth = true })
	d, err := New([]Target{s.target(Login{User: "x", Password: reference(t, "env:HOME")})}, slog.New(slog.DiscardHandler))
	must(t, err)
	if c, err := d.DialSSH(context.Background(), ledger.Ticket{}, "recon-ssh"); c != nil || session.KindOf(err) != session.Denied {
		t.Errorf("%v, %v", c, err)
	}
}

func TestPasswordLogins(t *testing.T) {
	login := Login{User: "svc-login", Password: reference(t, "file:"+writeSecret(t, password+"\n"))}
	wrong := Login{User: "svc-login", Password: reference(t, "file:"+writeSecret(t, password+"x"))}
	check := func(given string) error {
		if given != password {
			return errors.New("wrong")
		}
		return nil
	}
	byPassword := func(c *ssh.ServerConfig) {
		c.PasswordCallback = func(_ ssh.ConnMetadata, p []byte) (*ssh.Permissions, error) { return nil, check(string(p)) }
	}
	ask := func(rounds ...[]string) func(*ssh.ServerConfig) {
		return func(c *ssh.ServerConfig) {
			c.KeyboardInteractiveCallback = func(_ ssh.ConnMetadata, challenge ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
				var got string
				for _, questions := range rounds {
					echo := make([]bool, len(questions))
					for i, q := range questions {
						echo[i] = strings.HasPrefix(q, "echo ")
					}
					answers, err := challenge("", "", questions, echo)
					if err != nil {
						return nil, err
					}
					got += strings.Join(answers, "|")
				}
				return nil, check(got)
			}
		}
	}
	for _, test := range []struct {
		name   string
		device func(*ssh.ServerConfig)
		ok     bool
	}{
		{"password", byPassword, true},
		{"one hidden question", ask([]string{"Password: "}), true},
		{"a greeting first", ask(nil, []string{"svc-login's password:"}, nil), true},
		{"a visible question", ask([]string{"echo Password: "}), false},
		{"another question", ask([]string{"Favourite colour: "}), false},
		{"two questions", ask([]string{"Password: ", "Password: "}), false},
		{"asked twice", ask([]string{"Password: "}, []string{"Password: "}), false},
		{"asked for ever", ask(nil, nil, nil, nil, nil, nil, []string{"Password: "}), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScanner(t, test.device)
			err := try(t, s.target(login))
			if test.ok {
				must(t, err)
				refused(t, try(t, s.target(wrong)), session.Refused, "did not accept the agent's login")
				return
			}
			refused(t, err, session.Refused, "did not accept the agent's login")
		})
	}
}

// A device that shows another key than the pinned one never sees the login.
func TestHostKeyIsPinned(t *testing.T) {
	asked := 0
	s := newScanner(t, func(c *ssh.ServerConfig) {
		c.PasswordCallback = func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) { asked++; return nil, nil }
	})
	login := Login{User: "svc-login", Password: reference(t, "file:"+writeSecret(t, password))}
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(s.host.PublicKey())))
	for _, pinned := range []string{ssh.FingerprintSHA256(s.host.PublicKey()), line, line + " a comment"} {
		target := s.target(login)
		target.HostKey = pinned
		must(t, try(t, target))
	}
	asked = 0
	other := newScanner(t, func(c *ssh.ServerConfig) { c.NoClientAuth = true })
	for _, pinned := range []string{ssh.FingerprintSHA256(other.host.PublicKey()), string(ssh.MarshalAuthorizedKey(other.host.PublicKey()))} {
		target := s.target(login)
		target.HostKey = pinned
		err := try(t, target)
		refused(t, err, session.Refused, "is pinned")
		for _, fingerprint := range []string{ssh.FingerprintSHA256(other.host.PublicKey()), ssh.FingerprintSHA256(s.host.PublicKey())} {
			if !strings.Contains(err.Error(), fingerprint) {
				t.Errorf("%s is not named in %v", fingerprint, err)
			}
		}
	}
	if asked != 0 {
		t.Error("the device with the wrong key saw the login")
	}
}

func TestUnreachable(t *testing.T) {
	login := Login{User: "svc-login", Password: reference(t, "file:"+writeSecret(t, password))}
	s := newScanner(t, func(c *ssh.ServerConfig) { c.NoClientAuth = true })
	closed := s.target(login)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	closed.Port = l.Addr().(*net.TCPAddr).Port
	silent := closed
	silent.Timeout = 200 * time.Millisecond
	start := time.Now()
	refused(t, try(t, silent), session.Unreachable, "did not answer in time")
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("gave up after %v", took)
	}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("220 not ssh at all\r\n"))
			_ = c.Close()
		}
	})
	refused(t, try(t, closed), session.Unreachable, "")
	_ = l.Close()
	work.Wait()
	refused(t, try(t, closed), session.Unreachable, "cannot be reached")
	d, err := New(nil, slog.New(slog.DiscardHandler))
	must(t, err)
	_, err = d.target("NGH-PETCT1", "recon-ssh", session.SSH)
	refused(t, err, session.Refused, "no device configured")
	d, err = New([]Target{closed}, slog.New(slog.DiscardHandler))
	must(t, err)
	_, err = d.target(closed.Asset, closed.Service, session.Protocol("vnc"))
	refused(t, err, session.Refused, "no device configured")

	// A dial that is given up ends at once.
	ctx, cancel := context.WithCancel(context.Background())
	l2, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l2.Close()
	silent.Port, silent.Timeout = l2.Addr().(*net.TCPAddr).Port, 30*time.Second
	time.AfterFunc(50*time.Millisecond, cancel)
	start = time.Now()
	_, err = silent.dialSSH(ctx)
	if err == nil || time.Since(start) > 3*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

// Old algorithms only where the target says so.
func TestLegacy(t *testing.T) {
	login := Login{User: "svc-login", Password: reference(t, "file:"+writeSecret(t, password))}
	for _, old := range []ssh.Config{
		{KeyExchanges: []string{ssh.InsecureKeyExchangeDH14SHA1}},
		{Ciphers: []string{ssh.InsecureCipherAES128CBC}, MACs: []string{ssh.HMACSHA1}},
		{Ciphers: []string{ssh.CipherAES128CTR}, MACs: []string{ssh.HMACSHA1}},
	} {
		s := newScanner(t, func(c *ssh.ServerConfig) {
			c.Config = old
			c.PasswordCallback = func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) { return nil, nil }
		})
		target := s.target(login)
		refused(t, try(t, target), session.Refused, "only algorithms that the agent does not allow")
		target.Legacy = true
		must(t, try(t, target))
	}
	for _, c := range append(transport(true).Ciphers, transport(false).Ciphers...) {
		if strings.HasPrefix(c, "arcfour") || strings.HasPrefix(c, "chacha") {
			t.Errorf("%s is offered", c)
		}
	}
}

// The real thing: OpenSSH's server with three host keys and a user's key.
func TestRealSSHD(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, key any, passphrase string) ssh.PublicKey {
		var block *pem.Block
		var err error
		if passphrase == "" {
			block, err = ssh.MarshalPrivateKey(key, "")
		} else {
			block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
		}
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600))
		signer, err := ssh.NewSignerFromKey(key)
		must(t, err)
		return signer.PublicKey()
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	rs, err := rsa.GenerateKey(rand.Reader, 3072)
	must(t, err)
	_, me, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	hosts := []ssh.PublicKey{write("h1", ed, ""), write("h2", ec, ""), write("h3", rs, "")}
	mine := write("user", me, "")
	write("locked", me, password)
	mineRSA := write("user-rsa", rs, "")
	must(t, os.WriteFile(filepath.Join(dir, "authorized"), append(ssh.MarshalAuthorizedKey(mine), ssh.MarshalAuthorizedKey(mineRSA)...), 0o600))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	must(t, os.WriteFile(filepath.Join(dir, "config"), []byte(fmt.Sprintf(
		"Port %d\nListenAddress 127.0.0.1\nHostKey %s/h1\nHostKey %s/h2\nHostKey %s/h3\nPidFile none\nAuthorizedKeysFile %s/authorized\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n",
		port, dir, dir, dir, dir)), 0o600))
	if os.Getuid() == 0 {
		must(t, os.MkdirAll("/run/sshd", 0o755))
	}
	cmd := exec.Command("/usr/sbin/sshd", "-D", "-e", "-f", filepath.Join(dir, "config"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			_ = c.Close()
			break
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	u, err := user.Current()
	must(t, err)
	target := Target{Asset: "A", Endpoint: "e", Service: "s", Address: "127.0.0.1", Port: port, Protocol: session.SSH, Timeout: time.Minute,
		Login: Login{User: u.Username, Key: reference(t, "file:"+filepath.Join(dir, "user"))}}
	for _, host := range hosts {
		for _, pinned := range []string{ssh.FingerprintSHA256(host), string(ssh.MarshalAuthorizedKey(host))} {
			target.HostKey = pinned
			must(t, try(t, target))
		}
	}
	target.Login.Key = reference(t, "file:"+filepath.Join(dir, "user-rsa"))
	must(t, try(t, target))
	target.Login.Key = reference(t, "file:"+filepath.Join(dir, "locked"))
	refused(t, try(t, target), session.Refused, "cannot read its login")
	target.Login.Passphrase = reference(t, "file:"+writeSecret(t, password))
	must(t, try(t, target))
	target.Login.Passphrase = reference(t, "file:"+writeSecret(t, "wrong"))
	refused(t, try(t, target), session.Refused, "cannot read its login")
}

// The configuration's example reads; inline secrets do not.
func TestYAML(t *testing.T) {
	var login Login
	must(t, yaml.UnmarshalWithOptions([]byte(`{user: root, key: "file:/path"}`), &login, yaml.Strict()))
	if login.User != "root" || login.Key.String() != "file:/path" || !login.Password.IsZero() {
		t.Errorf("%+v", login)
	}
	if err := yaml.UnmarshalWithOptions([]byte(`{user: root, password: "`+password+`"}`), &login, yaml.Strict()); err == nil {
		t.Error("an inline password was read")
	}
	out, err := yaml.Marshal(login)
	if err != nil || !strings.Contains(string(out), "file:/path") {
		t.Errorf("%s, %v", out, err)
	}
	good := Target{Asset: "A", Endpoint: "e", Service: "s", Address: "10.0.0.5", Port: 22, Protocol: session.SSH,
		Login: login, HostKey: "SHA256:" + strings.Repeat("A", 43)}
	must(t, good.Check())
	for name, spoil := range map[string]func(*Target){
		"asset": func(x *Target) { x.Asset = "a b" }, "service": func(x *Target) { x.Service = "" }, "protocol": func(x *Target) { x.Protocol = "rdp" },
		"address": func(x *Target) { x.Address = "user@host" }, "no address": func(x *Target) { x.Address = "" }, "port": func(x *Target) { x.Port = 70000 },
		"user": func(x *Target) { x.Login.User = "" }, "login": func(x *Target) { x.Login.Key = secret.Reference{} }, "no pin": func(x *Target) { x.HostKey = "" },
		"short pin": func(x *Target) { x.HostKey = "SHA256:AAAA" }, "md5 pin": func(x *Target) { x.HostKey = "MD5:00:11" }, "timeout": func(x *Target) { x.Timeout = time.Hour },
	} {
		bad := good
		spoil(&bad)
		if err := bad.Check(); session.KindOf(err) != session.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New([]Target{good, good}, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a service was configured twice")
	}
}
