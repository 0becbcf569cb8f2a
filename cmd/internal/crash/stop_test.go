package crash

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent/console"
)

// TestStopWithEverythingElseStopped: a press on the agent's own page, by somebody who did
// not sign in, closes the device's connection with broker, Redis and identity providers all
// suspended.
func TestStopWithEverythingElseStopped(t *testing.T) {
	t.Parallel()
	g := raise(t, newGround(t))
	g.granted("NGH-PETCT1", "1h")
	worker := g.connect("stopped", scanner, "drip")
	g.shows(worker, "line 3\n")
	port := g.devicePort()
	if open(t, port) == 0 {
		t.Fatal("nobody is connected to the device")
	}
	ready, err := g.published()
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{ready.PIDs["broker"], g.demo.cmd.Process.Pid} { // Redis and the identity providers are the demonstration's own
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
	}
	browser := &http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, VerifyConnection: g.pinned()}}}
	press, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.ready.Console+"/stop", strings.NewReader(url.Values{"asset": {"NGH-PETCT1"}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	press.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	press.Header.Set("Origin", g.ready.Console)
	answered, began := make(chan error, 1), time.Now()
	go func() {
		res, err := browser.Do(press)
		if err == nil {
			err = res.Body.Close()
			if res.StatusCode != http.StatusSeeOther {
				err = fmt.Errorf("STOP answered %s", res.Status)
			}
		}
		answered <- err
	}()
	until(t, "the device's connection is closed", patience, time.Millisecond, func() error {
		if n := open(t, port); n > 0 {
			return fmt.Errorf("%d are open", n)
		}
		return nil
	})
	took := time.Since(began)
	if err := <-answered; err != nil {
		t.Error(err)
	}
	limit := 10 * time.Second // what is promised is proved with the binaries as they are shipped, on a machine that does nothing else
	if os.Getenv("SALLYPORT_PROVE") != "" {
		limit = 300 * time.Millisecond
	}
	verdict := "holds"
	if took > limit {
		verdict = "broken"
		t.Errorf("closed after %s", took)
	}
	t.Logf("ATTACK | STOP on the agent's page with broker, Redis and identity providers all stopped | device connection closed <= 300 ms | %s | %s", took.Round(time.Millisecond), verdict)
	st, err := (&console.Client{Socket: g.ready.AgentSocket}).Status(t.Context())
	if err != nil || len(st.Sessions)+len(st.Admitted) != 0 {
		t.Errorf("%+v, %v", st.Sessions, err)
	}
	_ = worker.cmd.Process.Kill() // it waits for the suspended broker
	<-worker.done
}

// pinned takes the certificate alone whose fingerprint the agent's command prints.
func (g *ground) pinned() func(tls.ConnectionState) error {
	g.t.Helper()
	var st console.Status
	if err := json.Unmarshal([]byte(g.as("approver", "sallyport-agent", "status", "--json", "--socket", g.ready.AgentSocket)), &st); err != nil || st.Page == nil || st.Page.URL != g.ready.Console {
		g.t.Fatalf("the status says of the page: %+v, %v", st.Page, err)
	}
	return func(s tls.ConnectionState) error {
		if got := fmt.Sprintf("SHA-256 %X", sha256.Sum256(s.PeerCertificates[0].Raw)); got != st.Page.Certificate {
			return fmt.Errorf("the page shows %s, not %s", got, st.Page.Certificate)
		}
		return nil
	}
}

// devicePort is where the device listens, as the kernel writes it.
func (g *ground) devicePort() string {
	g.t.Helper()
	raw, err := os.ReadFile(g.path("sshd", "config"))
	var port int
	if err == nil {
		_, err = fmt.Sscanf(string(raw), "Port %d", &port)
	}
	if err != nil {
		g.t.Fatal(err)
	}
	return fmt.Sprintf(":%04X", port)
}

// open is how many connections the device holds that its peer has not closed.
func open(t *testing.T, port string) (n int) {
	t.Helper()
	raw, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if f := strings.Fields(line); len(f) > 3 && strings.HasSuffix(f[1], port) && f[3] == "01" {
			n++
		}
	}
	return n
}
