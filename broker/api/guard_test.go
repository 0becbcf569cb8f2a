package api

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session/lobby"
)

// A body that does not come holds nobody up, read or not; a call that takes its time
// after its body came is not cut short.
func TestBodiesHaveTheirTime(t *testing.T) {
	const patience = 100 * time.Millisecond
	d := &door{Config: Config{Now: time.Now}, rates: rates{sources: lobby.NewPace(time.Millisecond, 1000)}, bodyTime: patience}
	mux := http.NewServeMux()
	mux.HandleFunc("/unread", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) })
	mux.HandleFunc("/read", func(w http.ResponseWriter, r *http.Request) {
		if readJSON(r, &struct{}{}) != nil {
			w.WriteHeader(400)
			return
		}
		select {
		case <-time.After(3 * patience):
		case <-r.Context().Done():
			w.WriteHeader(500)
		}
	})
	server := httptest.NewServer(d.guard(mux))
	t.Cleanup(server.Close)
	for what, c := range map[string]struct {
		path, body string
		status     int
	}{
		"a body that nobody reads":        {"/unread", "", 401},
		"a body that somebody waits for":  {"/read", "", 400},
		"half a body":                     {"/read", "{", 400},
		"a body that is there, and work":  {"/read", "{}", 200},
		"a body that is there, not asked": {"/unread", "{}", 401},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(soon))
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: b\r\nContent-Length: 2\r\n\r\n%s", c.path, c.body)
			r := bufio.NewReader(conn)
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			if resp.Body.Close(); resp.StatusCode != c.status {
				t.Errorf("%d", resp.StatusCode)
			}
			if len(c.body) == 2 {
				return
			}
			if _, err := r.ReadByte(); err != io.EOF {
				t.Errorf("the connection stays: %v", err)
			}
		})
	}
}

// A name that somebody else pointed here gets nothing, pages and calls alike. Whoever
// watches the nodes asks them by address.
func TestOnlyTheBrokersOwnNameIsAnswered(t *testing.T) {
	w := newWorld(t)
	ask := func(host, path string) answered {
		t.Helper()
		w.now.Add(int64(time.Second))
		req, err := http.NewRequestWithContext(t.Context(), "GET", w.url+path, nil)
		w.must(err)
		req.Host = host
		req.Header.Set("Authorization", "Bearer ada")
		return w.do(req)
	}
	for _, path := range []string{"/", "/api/v1/me", "/api/v1/info", "/auth/options", "/openapi.json", "/api/v1/events", "/nothing"} {
		for _, host := range []string{"evil.example", "broker.example.org.evil.example", "broker.example.org:444", "broker.example.org:80", "broker.example.org.",
			"127.0.0.1", "127.0.0.1:443", "localhost", "[::1]", "x.broker.example.org", "10.0.0.7:443"} {
			a := ask(host, path)
			if w.problem(host+path, a, 421); strings.Contains(string(a.body), "broker.example.org") {
				t.Errorf("%s%s: %s", host, path, a.body)
			}
		}
	}
	for _, host := range []string{"broker.example.org", "broker.example.org:443", "Broker.Example.ORG"} {
		if a := ask(host, "/api/v1/me"); a.status != 200 {
			t.Errorf("%s: %d %s", host, a.status, a.body)
		}
	}
	for _, path := range []string{"/livez", "/readyz", "/healthz"} {
		if a := ask("10.0.0.7", path); a.status != 200 {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}

// Who sends many calls at once to another name gets one answer, and is hung up on: what is
// not answered costs nothing, and those who have business here do not wait behind it.
func TestAFloodByAnotherNameIsAnsweredOnce(t *testing.T) {
	w := newWorld(t)
	c, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	w.must(err)
	defer c.Close()
	_, err = io.WriteString(c, strings.Repeat("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 20))
	w.must(err)
	text, _ := io.ReadAll(c) // hung up on, perhaps before all was read
	if n := strings.Count(string(text), "HTTP/1.1 421"); n != 1 {
		t.Errorf("%d answers: %s", n, text)
	}
	t.Logf("ATTACK | 20 calls at once to a name that is not the broker's | one is answered | %d | holds", strings.Count(string(text), "HTTP/1.1"))
}

// The demonstration is on loopback and goes by all its names, and by no other.
func TestADemonstrationGoesByLoopbacksNames(t *testing.T) {
	d := &door{origin: "http://127.0.0.1:7080"}
	for host, want := range map[string]bool{"127.0.0.1:7080": true, "localhost:7080": true, "[::1]:7080": true, "localhost": true,
		"evil.example:7080": false, "127.0.0.1.evil.example:7080": false, "": false, "localhost.evil.example": false, "0.0.0.0:7080": false} {
		if d.named(host) != want {
			t.Errorf("%q: %v", host, !want)
		}
	}
	d.origin = broker
	for _, host := range []string{"", ":443", "evil@broker.example.org", "broker.example.org:", "broker.example.org%00", "broker.example.org/x", "broker.example.org?", "broker.example.org#", "broker.example.org\\", "localhost", " "} {
		if d.named(host) {
			t.Errorf("%q is the broker's name", host)
		}
	}
}
