package crash

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session/proxy"
	"github.com/sallyport/sallyport/session/secret"
)

const squidUser = 4243 // without a name and without rights

// squid starts a real one, which lets svc with "open sesame" through, and nobody else.
func (c *cluster) squid() (at, log string) {
	c.t.Helper()
	dir, err := os.MkdirTemp("", "squid-")
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	at, log = freePort(c.ground), filepath.Join(dir, "access.log")
	for name, text := range map[string]string{
		"users": "svc:$apr1$abcdefgh$T64oOxnD8c28.dQa.2Lty1\n",
		"squid.conf": fmt.Sprintf(`http_port %s
pid_filename %[2]s/pid
cache_log %[2]s/cache.log
access_log stdio:%[2]s/access.log
coredump_dir %[2]s
cache deny all
netdb_filename none
pinger_enable off
shutdown_lifetime 1 seconds
auth_param basic program /usr/lib/squid/basic_ncsa_auth %[2]s/users
auth_param basic children 1
auth_param basic realm hospital
acl people proxy_auth REQUIRED
http_access deny !people
http_access allow people
`, at, dir),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			c.t.Fatal(err)
		}
	}
	cmd := exec.Command("/usr/sbin/squid", "-N", "-f", filepath.Join(dir, "squid.conf"))
	if os.Geteuid() == 0 {
		if err := os.Chown(dir, squidUser, squidUser); err != nil {
			c.t.Fatal(err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: squidUser, Gid: squidUser}}
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatalf("start squid (make peers installs it): %v", err)
	}
	gone := make(chan struct{})
	go func() { defer close(gone); _ = cmd.Wait() }()
	c.t.Cleanup(func() { _ = cmd.Process.Kill(); <-gone })
	until(c.t, "squid listens", 60*time.Second, often, func() error {
		conn, err := net.Dial("tcp", at)
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
	return at, log
}

// TestThroughTheForwardProxy: the agent enrols, holds its link and carries a session through
// the hospital's proxy, and an approver's command line goes the same way, by what stands in
// their configurations.
func TestThroughTheForwardProxy(t *testing.T) {
	t.Parallel()
	c := found(t)
	at, log := c.squid()
	a := c.raiseNode("a", nil)
	c.turn(a)
	c.write("proxy-password", "open sesame\n")
	word, err := secret.Parse("file:" + c.path("proxy-password"))
	if err != nil {
		t.Fatal(err)
	}
	c.proxy = proxy.Config{URL: "http://" + at, User: "svc", Password: word}
	c.raiseAgent(a)
	c.bundle()
	for who, hint := range people {
		way := c.proxy
		if who == "engineer" {
			way = proxy.Config{} // elsewhere
		}
		text, err := json.Marshal(map[string]any{"broker": c.ready.Web, "hint": hint, "proxy": way})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(c.ready.Personas[who].Home, "config.json"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		c.as(who, "sallyport", "login")
	}
	c.granted("NGH-PETCT1", "1h")
	visit := c.connect("proxied", scanner, "once")
	c.ended(visit)
	c.pack(c.newest(nil), "proxied.pack")

	seen, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	web, err := url.Parse(c.ready.Web)
	if err != nil {
		t.Fatal(err)
	}
	// The agent dials its node, the approver what people type.
	for what, to := range map[string]string{"agent to node": a.web, "approver to broker": web.Host, "to the hospital's provider": strings.TrimPrefix(c.issuers[1].URL, "http://")} {
		if !strings.Contains(string(seen), "CONNECT "+to+" svc") {
			t.Errorf("%s did not go through the proxy:\n%s", what, seen)
		}
	}
	if out := c.as("approver", "sallyport-agent", "doctor", "--no-login", "--config", c.agentConfig); !strings.Contains(out, "proxy") {
		t.Errorf("the doctor says nothing of the proxy:\n%s", out)
	}
	// With another password nothing gets out, and it is said why.
	c.write("proxy-password", "guess\n")
	if out, err := c.try("approver", "sallyport", "assets"); err == nil || !strings.Contains(err.Error(), "does not accept the user svc") {
		t.Errorf("with another password: %s, %v", out, err)
	}
}
