package proxy

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const squidUser = 4243 // without a name and without rights

// squid is a real one on loopback: svc with "open sesame" may go to one port.
type squid struct{ plain, secure, ca string }

func startSquid(t *testing.T, allowed string) squid {
	t.Helper()
	dir, err := os.MkdirTemp("", "squid-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	pair, ca := certificate(t, "Squid's own CA")
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	s := squid{plain: free(t), secure: free(t), ca: filepath.Join(dir, "ca.pem")}
	_, port, _ := net.SplitHostPort(allowed)
	for name, text := range map[string]string{
		"ca.pem": string(ca), "key.pem": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
		"users": "svc:$apr1$abcdefgh$T64oOxnD8c28.dQa.2Lty1\n", "hosts": "127.0.0.1 broker.example.org\n",
		"squid.conf": fmt.Sprintf(`http_port %s
https_port %s tls-cert=%[3]s/ca.pem tls-key=%[3]s/key.pem
pid_filename %[3]s/pid
cache_log %[3]s/cache.log
access_log none
coredump_dir %[3]s
hosts_file %[3]s/hosts
cache deny all
netdb_filename none
pinger_enable off
shutdown_lifetime 1 seconds
auth_param basic program /usr/lib/squid/basic_ncsa_auth %[3]s/users
auth_param basic children 1
auth_param basic realm hospital
acl ok port %[4]s
acl people proxy_auth REQUIRED
http_access deny !people
http_access deny !ok
http_access allow people
`, s.plain, s.secure, dir, port),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("/usr/sbin/squid", "-N", "-f", filepath.Join(dir, "squid.conf"))
	if os.Geteuid() == 0 {
		if err := os.Chown(dir, squidUser, squidUser); err != nil {
			t.Fatal(err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: squidUser, Gid: squidUser}}
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() { defer close(gone); _ = cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-gone })
	for _, at := range []string{s.plain, s.secure} {
		awaitPort(t, at, gone, filepath.Join(dir, "cache.log"))
	}
	return s
}

func free(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func awaitPort(t *testing.T, at string, gone <-chan struct{}, log string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		conn, err := net.Dial("tcp", at)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-gone:
			end = time.Time{}
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(end) {
			said, _ := os.ReadFile(log)
			t.Fatalf("squid does not listen: %v\n%s", err, said)
		}
	}
}

func TestThroughSquid(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(conn, conn)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	here := net.JoinHostPort("broker.example.org", port) // a name that the proxy alone knows
	s := startSquid(t, here)
	word, wrong := passwordFile(t, "open sesame"), passwordFile(t, "guess")
	for name, c := range map[string]struct {
		Config
		to   string
		want string // "": through
	}{
		"http, Basic":            {Config{URL: "http://" + s.plain, User: "svc", Password: word}, here, ""},
		"https, Basic, own CA":   {Config{URL: "https://" + s.secure, User: "svc", Password: word, CA: s.ca}, here, ""},
		"https without its CA":   {Config{URL: "https://" + s.secure, User: "svc", Password: word}, here, "signed by CN=Squid's own CA"},
		"https called http":      {Config{URL: "http://" + s.secure, User: "svc", Password: word}, here, "The proxy "},
		"http called https":      {Config{URL: "https://" + s.plain, User: "svc", Password: word}, here, "does not speak TLS"},
		"no password":            {Config{URL: "http://" + s.plain}, here, "asks for a user and a password"},
		"a wrong password":       {Config{URL: "http://" + s.plain, User: "svc", Password: wrong}, here, "does not accept the user svc"},
		"a port that is not let": {Config{URL: "http://" + s.plain, User: "svc", Password: word}, "broker.example.org:1", "does not let this machine through"},
		"a name nobody knows":    {Config{URL: "http://" + s.plain, User: "svc", Password: word}, "nowhere.invalid:" + port, "could not reach"},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := dialer(t, c.Config).Dial(t.Context(), c.to)
			if c.want != "" {
				if got := told(t, err); !strings.Contains(got, c.want) {
					t.Error(got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, "hello"); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 5)
			if _, err := io.ReadFull(conn, got); err != nil || string(got) != "hello" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}
