package console

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type controls struct {
	mu     sync.Mutex
	killed []Target
}

func (c *controls) Status() Status {
	return Status{Site: "NGH", Agent: "a1", Sessions: []Session{{ID: "S-x", Asset: "NGH-PETCT1"}}}
}

func (c *controls) Freeze(f Target) (Frozen, error) {
	return Frozen{Target: f, Frozen: []string{"local"}}, nil
}

func (c *controls) Thaw(f Target) (Frozen, error) {
	return Frozen{Target: f}, session.Errorf(session.Refused, "Frozen elsewhere.").WithNext("Lift it there.")
}

func (c *controls) Kill(k Target) (Killed, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.killed = append(c.killed, k)
	switch k.Asset {
	case "NONE":
		return Killed{}, session.Errorf(session.Invalid, "No session of NONE is live.").WithNext("See sallyport-agent status.")
	case "BROKEN":
		return Killed{}, errors.New("secret detail")
	}
	return Killed{Sessions: []string{"S-x"}}, nil
}

func (c *controls) States() []State { return []State{{Asset: "NGH-PETCT1", Interlock: "none"}} }

func (c *controls) Set(s Switch) (State, error) {
	if s.State == "fine" {
		return State{}, session.Errorf(session.Invalid, "No such state.")
	}
	return State{Asset: s.Asset, Interlock: "on", State: s.State, Detail: s.For}, nil
}

func serve(t *testing.T) (string, *controls, func() error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent.sock")
	c := &controls{}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, path, c, c, c) }()
	var once sync.Once
	var result error
	stop := func() error { once.Do(func() { cancel(); result = <-done }); return result }
	t.Cleanup(func() { _ = stop() })
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := (Client{path}).Status(context.Background()); err == nil {
			return path, c, stop
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestStatusAndKill(t *testing.T) {
	path, c, stop := serve(t)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	client := Client{path}
	s, err := client.Status(context.Background())
	if err != nil || s.Site != "NGH" || len(s.Sessions) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	id := session.NewID().Session()
	for _, k := range []Target{{Session: id}, {Asset: "NGH-PETCT1"}, {Engineer: "j.brandt@meridian.example"}, {All: true}} {
		if got, err := client.Kill(context.Background(), k); err != nil || len(got.Sessions) != 1 || c.killed[len(c.killed)-1] != k {
			t.Errorf("%+v, %v, %+v", got, err, c.killed)
		}
	}
	n := len(c.killed)
	for _, k := range []Target{{}, {Session: "S-x"}, {Session: id, All: true}, {Asset: "a b"}, {Engineer: "a\nb"}, {Engineer: strings.Repeat("a", 400)}, {Engineer: "a", Asset: "B"}} {
		if _, err := client.Kill(context.Background(), k); session.KindOf(err) != session.Invalid {
			t.Errorf("%+v: %v", k, err)
		}
	}
	if len(c.killed) != n {
		t.Error("a malformed kill killed")
	}
	var e *session.Error
	if _, err := client.Kill(context.Background(), Target{Asset: "NONE"}); !errors.As(err, &e) || e.Kind != session.Invalid || e.Next == "" {
		t.Errorf("%v", err)
	}
	if _, err := client.Kill(context.Background(), Target{Asset: "BROKEN"}); session.KindOf(err) != session.Internal || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
	if err := Serve(context.Background(), path, c, c, c); session.KindOf(err) != session.Refused {
		t.Errorf("two agents on one socket: %v", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("the socket is left behind")
	}
	if _, err := client.Status(context.Background()); session.KindOf(err) != session.Unreachable {
		t.Errorf("%v", err)
	}
}

// A socket of a dead agent is replaced; a file is not.
func TestStaleSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	again, err := listen(path)
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
	_ = os.Remove(path)
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listen(path); session.KindOf(err) != session.Refused {
		t.Errorf("%v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "precious" {
		t.Error("a file was replaced")
	}
}

// Other hosts, pages, methods and paths get nothing.
func TestStrangeRequests(t *testing.T) {
	path, c, _ := serve(t)
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", path) }}
	for _, test := range []struct {
		method, url, origin, body string
		want                      int
	}{
		{"POST", "http://evil.example/kill", "", `{"all":true}`, 403},
		{"POST", "http://" + host + "/kill", "https://evil.example", `{"all":true}`, 403},
		{"GET", "http://" + host + "/kill", "", "", 405},
		{"POST", "http://" + host + "/status", "", "", 405},
		{"POST", "http://" + host + "/other", "", "", 404},
		{"POST", "http://" + host + "/kill", "", `{"all":true` + strings.Repeat(" ", maxRequest) + `}`, 400},
	} {
		req, err := http.NewRequest(test.method, test.url, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		if test.origin != "" {
			req.Header.Set("Origin", test.origin)
		}
		resp, err := (&http.Client{Transport: transport}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != test.want {
			t.Errorf("%s %s: %d", test.method, test.url, resp.StatusCode)
		}
	}
	if len(c.killed) != 0 {
		t.Errorf("killed %v", c.killed)
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{`{"all":true}`, `{"asset":"A"}`, `{"engineer":"a@b.example"}`, `{"session":"` + session.NewID().Session() + `"}`, `{"all":true,"all":false}`,
		`{"ALL":true}`, `{"all":true}{}`, `{"all":null,"asset":"A"}`, `[]`, `{"asset":{}}`, ``, `{"all":true,"x":1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		k, err := parseTarget(body)
		if err != nil {
			if k != (Target{}) || session.KindOf(err) != session.Invalid {
				t.Errorf("%v with %+v", err, k)
			}
			return
		}
		out, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := parseTarget(out); err != nil || again != k {
			t.Errorf("%s reads as %+v, %v", out, again, err)
		}
	})
}

func TestFreezeAndThaw(t *testing.T) {
	path, _, _ := serve(t)
	client, id := Client{path}, session.NewID().Session()
	if got, err := client.Freeze(t.Context(), Target{Session: id}); err != nil || got.Session != id || len(got.Frozen) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := client.Thaw(t.Context(), Target{Session: id}); session.KindOf(err) != session.Refused {
		t.Errorf("%v", err)
	}
	for _, bad := range []string{"", "S-x", "R-" + id[2:]} {
		if _, err := client.Freeze(t.Context(), Target{Session: bad}); session.KindOf(err) != session.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, body := range []string{"", "null", "[]", `{"session":"` + id + `","session":"` + id + `"}`, `{"Session":"` + id + `"}`,
		`{"session":"` + id + `","all":true}`, `{"session":["` + id + `"]}`, `{"session":"` + id + `"} x`} {
		if _, err := parseTarget([]byte(body)); err == nil {
			t.Errorf("%s: taken", body)
		}
	}
}

func TestTheSwitch(t *testing.T) {
	path, _, _ := serve(t)
	client := Client{path}
	if all, err := client.States(t.Context()); err != nil || len(all) != 1 || all[0].Interlock != "none" {
		t.Errorf("%+v, %v", all, err)
	}
	got, err := client.Set(t.Context(), Switch{Asset: "NGH-PETCT1", State: session.InService, For: "30m"})
	if err != nil || got.State != session.InService || got.Detail != "30m" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []Switch{{Asset: "NGH-PETCT1", State: "fine"}, {State: session.InService}, {Asset: "a b", State: session.InService},
		{Asset: "NGH-PETCT1", State: session.InService, For: "soon"}, {Asset: "NGH-PETCT1", State: session.InService, For: "-1m"}} {
		if _, err := client.Set(t.Context(), bad); session.KindOf(err) != session.Invalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	for _, bad := range []string{"", "[]", `{"asset":"CT","state":"idle","more":1}`, `{"asset":"CT","asset":"MR"}`, `{"asset":"CT"} {}`, `{"asset":{}}`} {
		if _, err := parseSwitch([]byte(bad)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}
