package api

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
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
