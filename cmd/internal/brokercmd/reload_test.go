//go:build unix

package brokercmd

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// running is a broker that serves.
type running struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string // of its log
	stop  func()
}

// start runs the broker as the service, until the test ends.
func (x *installed) start() *running {
	x.t.Helper()
	like := x.command(x.user, "serve", "--until-stdin-ends")
	r := &running{t: x.t, cmd: exec.Command(like.Path, like.Args[1:]...), lines: make(chan string, 1000)} // it ends when its input does
	r.cmd.Env, r.cmd.SysProcAttr = like.Env, like.SysProcAttr
	in, err := r.cmd.StdinPipe()
	if err != nil {
		x.t.Fatal(err)
	}
	out, err := r.cmd.StderrPipe()
	if err != nil {
		x.t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		x.t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for s := bufio.NewScanner(out); s.Scan(); {
			select {
			case r.lines <- s.Text():
			default: // nobody waits for so many
			}
		}
	}()
	r.stop = sync.OnceFunc(func() {
		_ = in.Close()
		<-read
		if err := r.cmd.Wait(); err != nil {
			x.t.Errorf("the broker ended with %v", err)
		}
	})
	x.t.Cleanup(r.stop)
	r.says("broker started")
	return r
}

// says waits for a line of the log that has all words.
func (r *running) says(words ...string) {
	r.t.Helper()
	var heard []string
	for late := time.After(30 * time.Second); ; {
		select {
		case line := <-r.lines:
			heard = append(heard, line)
			has := true
			for _, w := range words {
				has = has && strings.Contains(line, w)
			}
			if has {
				return
			}
		case <-late:
			r.t.Fatalf("the broker did not say %q:\n%s", words, strings.Join(heard, "\n"))
		}
	}
}

func (r *running) hup() {
	r.t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		r.t.Fatal(err)
	}
}

// shown is the number of the certificate that the web shows.
func shown(t *testing.T, at string) string {
	t.Helper()
	conn, err := tls.Dial("tcp", at, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func TestARunningBrokerTakesANewCertificate(t *testing.T) {
	x := install(t)
	cert, key := x.certify("broker.example.org", time.Hour)
	x.change("node: broker-1", "node: broker-1\ntls: {certificate: "+cert+", key: "+key+"}")
	x.change("url: http://127.0.0.1:8443", "url: https://broker.example.org")
	at := x.listens()
	r := x.start()
	first := shown(t, at)
	// By its name: to any other the broker answers before it has read a call.
	web := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, at)
		},
	}}
	defer web.CloseIdleConnections()
	// A call that goes on meanwhile is not cut off.
	half, full := io.Pipe()
	asked := make(chan error, 1)
	go func() {
		resp, err := web.Post("https://broker.example.org/api/v1/login", "application/json", half)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusMisdirectedRequest {
				err = errors.New("it does not answer by its name")
			}
		}
		asked <- err
	}()
	if _, err := full.Write([]byte("{")); err != nil {
		t.Fatal(err)
	}
	x.certify("broker.example.org", 48*time.Hour)
	r.hup()
	r.says("the configuration was read anew")
	if now := shown(t, at); now == first {
		t.Error("the next handshake shows the old certificate")
	}
	if _, err := full.Write([]byte("}")); err != nil {
		t.Fatal(err)
	}
	_ = full.Close()
	if err := <-asked; err != nil {
		t.Errorf("a call was cut off: %v", err)
	}
}

func TestANewConfigurationThatCannotBeUsedIsRefused(t *testing.T) {
	x := install(t)
	cert, key := x.certify("broker.example.org", time.Hour)
	x.change("node: broker-1", "node: broker-1\ntls: {certificate: "+cert+", key: "+key+"}")
	x.change("url: http://127.0.0.1:8443", "url: https://broker.example.org")
	good, err := os.ReadFile(x.config)
	if err != nil {
		t.Fatal(err)
	}
	at := x.listens()
	r := x.start()
	first := shown(t, at)
	for name, bad := range map[string][2]string{
		"no YAML":             {"node: broker-1", "node: ["},
		"an unknown field":    {"node: broker-1", "node: broker-1\nnodes: 1"},
		"no such file":        {cert, cert + ".gone"},
		"an odd issuer":       {"sites: [NGH], domains: [meridian.example], clients: {sallyport-cli: cli}", `sites: ["*"], side2: x`},
		"no issuer with side": {"side: vendor", "side: both"},
	} {
		x.change(bad[0], bad[1])
		r.hup()
		r.says("the new configuration is refused")
		if now := shown(t, at); now != first {
			t.Errorf("%s: another certificate is shown", name)
		}
		if err := os.WriteFile(x.config, good, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	x.certify("broker.example.org", -time.Minute)
	r.hup()
	r.says("the new configuration is refused", "expired")
	x.certify("broker.example.org", time.Hour)
	x.change(`ssh: {listen: "`, `ssh: {listen: "127.0.0.1:1", address: "127.0.0.1:2"}`+"\nweb: {idle: 20m}\n#")
	r.hup()
	r.says("wait for a restart", "ssh", "web")
	if now := shown(t, at); now == first {
		t.Error("what could be taken was not")
	}
}

// listens is where the configuration has the web listen.
func (x *installed) listens() string {
	x.t.Helper()
	text, err := os.ReadFile(x.config)
	if err != nil {
		x.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), `listen: "`)
	at, _, ok := strings.Cut(rest, `"`)
	if !ok {
		x.t.Fatal("the configuration says not where")
	}
	return at
}
