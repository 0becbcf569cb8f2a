package attached

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/world"
	"github.com/sallyport/sallyport/session"
)

// TestMain builds the real binary, which is broker and agent of the demonstration too,
// with the race detector in it unless something is measured.
func TestMain(m *testing.M) { os.Exit(withBinary(m)) }

var program string

func withBinary(m *testing.M) int {
	dir, err := os.MkdirTemp("", "attached-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "sallyport")
	if out, err := exec.Command("go", append(append([]string{"build"}, buildFlags...), "-o", program, "../../sallyport")...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the binary: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// patience bounds whatever is not promised a time of its own.
const patience = 40 * time.Second

// demo starts the demonstration.
func demo(t *testing.T, flags ...string) world.Ready {
	t.Helper()
	state, file := filepath.Join(t.TempDir(), "state"), filepath.Join(t.TempDir(), "ready.json")
	cmd := exec.Command(program, append([]string{"demo", "--state", state, "--ready", file, "--web", "127.0.0.1:0", "--ssh", "127.0.0.1:0"}, flags...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	must(t, cmd.Start())
	done := make(chan struct{})
	go func() { defer close(done); _ = cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(30 * time.Second):
			_ = cmd.Process.Kill()
			<-done
		}
		for _, name := range []string{"broker", "agent"} {
			raw, _ := os.ReadFile(filepath.Join(state, "logs", name+".log"))
			if t.Failed() || bytes.Contains(raw, []byte("DATA RACE")) {
				t.Errorf("--- %s.log\n%s", name, raw[max(0, len(raw)-20000):])
			}
		}
	})
	var ready world.Ready
	until(t, "the demonstration is ready", func() error {
		raw, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		return json.Unmarshal(raw, &ready)
	})
	return ready
}

func until(t *testing.T, what string, try func() error) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// person is somebody at their browser. The cookies of the broker are kept by hand: they
// are for browsers that count loopback as secure, which a cookie jar does not.
type person struct {
	t       *testing.T
	broker  string
	cookies map[string]string
	idp     *http.Client
}

// signIn is the whole way of a persona from the sign-in page and back.
func signIn(t *testing.T, broker, persona string) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	must(t, err)
	p := &person{t: t, broker: broker, cookies: map[string]string{}, idp: &http.Client{Jar: jar, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if to := p.trip("/auth/login", api.LoginStart{Persona: persona, Return: "/live"}); to != "/live" {
		t.Fatalf("%s was sent to %s", persona, to)
	}
	return p
}

// send calls the broker as one of its pages would.
func (p *person) send(method, path string, body any) (int, http.Header, []byte) {
	p.t.Helper()
	data, err := json.Marshal(body)
	must(p.t, err)
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.broker+path, bytes.NewReader(data))
	must(p.t, err)
	if method != http.MethodGet {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Origin", p.broker)
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	req.Header.Set("Cookie", p.cookie(strings.HasPrefix(path, "/auth/callback")))
	resp, err := http.DefaultTransport.RoundTrip(req)
	must(p.t, err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	must(p.t, err)
	for _, c := range resp.Cookies() {
		if p.cookies[c.Name] = c.Value; c.MaxAge < 0 {
			delete(p.cookies, c.Name)
		}
	}
	return resp.StatusCode, resp.Header, got
}

// cookie is the header. The login is not sent on what another site began.
func (p *person) cookie(wayBack bool) string {
	var all []string
	for name, value := range p.cookies {
		if !wayBack || name != "__Host-sallyport" {
			all = append(all, name+"="+value)
		}
	}
	return strings.Join(all, "; ")
}

// call wants an answer, into out unless that is nil. Told to wait a moment, it does: on a
// fast machine these tests ask for more in a short time than one person may.
func (p *person) call(method, path string, body, out any) {
	p.t.Helper()
	status, _, got := p.send(method, path, body)
	for deadline := time.Now().Add(time.Minute + patience); status == http.StatusTooManyRequests && time.Now().Before(deadline); {
		time.Sleep(time.Second)
		status, _, got = p.send(method, path, body)
	}
	if status/100 != 2 {
		p.t.Fatalf("%s %s: %d %s", method, path, status, got)
	}
	if out != nil {
		must(p.t, json.Unmarshal(got, out))
	}
}

// trip goes by way of the identity provider and returns where that ends.
func (p *person) trip(path string, start any) string {
	p.t.Helper()
	var to api.Departure
	p.call(http.MethodPost, path, start, &to)
	resp, err := p.idp.Get(to.URL)
	must(p.t, err)
	resp.Body.Close()
	back, err := url.Parse(resp.Header.Get("Location"))
	must(p.t, err)
	if !strings.HasPrefix(back.String(), p.broker+session.CallbackPath) {
		p.t.Fatalf("the identity provider answered %d %s", resp.StatusCode, back)
	}
	status, header, got := p.send(http.MethodGet, back.RequestURI(), nil)
	if status != http.StatusSeeOther {
		p.t.Fatalf("the way back ended with %d %s", status, got)
	}
	return header.Get("Location")
}

// prove is a round trip whose nonce covers a document, and its outcome.
func (p *person) prove(start api.ProofStart) api.Outcome {
	p.t.Helper()
	to := p.trip("/auth/proofs", start)
	var o api.Outcome
	p.call(http.MethodGet, "/auth/outcomes/"+strings.TrimPrefix(to, "/done/"), nil, &o)
	if !o.OK {
		p.t.Fatalf("%s: %+v", start.Role, o.Problem)
	}
	return o
}
