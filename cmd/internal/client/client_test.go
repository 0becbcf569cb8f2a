package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"syscall"
	"testing"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/session"
)

// A list goes on until the broker says no more, or there is enough.
func TestAListIsReadPageByPage(t *testing.T) {
	var asked []string
	broker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		asked = append(asked, q.Get("after")+"/"+q.Get("limit")+"/"+q.Get("asset"))
		if n := len(asked); n < 3 {
			w.Header().Set("X-Next", fmt.Sprintf("V-%d", n))
		}
		_, _ = io.WriteString(w, `[{"id":"a"},{"id":"b"}]`)
	}))
	defer broker.Close()
	c := New(Config{Broker: broker.URL})
	all, more, err := Recordings.First(context.Background(), c, url.Values{"asset": {"NGH-PETCT1"}}, 1000)
	if want := []string{"/500/NGH-PETCT1", "V-1/500/NGH-PETCT1", "V-2/500/NGH-PETCT1"}; err != nil || more || len(all) != 6 || !reflect.DeepEqual(asked, want) {
		t.Fatalf("%d entries, more %v, %v; asked %q", len(all), more, err, asked)
	}
	asked = nil
	all, more, err = Recordings.First(context.Background(), c, nil, 3)
	if want := []string{"/3/", "V-1/1/"}; err != nil || !more || len(all) < 3 || !reflect.DeepEqual(asked, want) {
		t.Fatalf("%d entries, more %v, %v; asked %q", len(all), more, err, asked)
	}
}

// What an id holds leads nowhere else.
func TestIdsAreEscaped(t *testing.T) {
	if got := fill(string(Access), url.Values{"a": {"b c"}}, []string{"x/../{y}", "?z", "s"}); got != "/access/x%2F..%2F%7By%7D/%3Fz/s?a=b+c" {
		t.Fatal(got)
	}
}

// Every route is one that the broker has.
func TestRoutesAreTheBrokers(t *testing.T) {
	data, err := os.ReadFile("../../../broker/api/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	for method, paths := range map[string][]string{
		"get": {string(Info), string(Me), string(Assets), string(Access), string(Requests), string(Request), string(Documents), string(Engineers), string(Sessions), string(Session),
			string(Recordings), string(Recording), string(RecordingFile), string(RecordingPack), string(AuditLogs), string(AuditEvents), string(AuditProof), string(AuditCheckpoint), string(AuditLeaves)},
		"post": {string(Login), string(Logout), string(Submit), string(Approve), string(Deny), string(Withdraw), string(Activate), string(Propose), string(Revoke), string(Disable),
			string(Enable), string(Kill), string(Freeze), string(Thaw), string(Viewed), string(Review)},
	} {
		for _, path := range paths {
			if _, ok := doc.Paths["/api/v1"+path][method]; !ok {
				t.Errorf("the broker has no %s %s", method, path)
			}
		}
	}
}

// An answer that is too large, or no JSON, is none.
func TestOddAnswersAreRefused(t *testing.T) {
	for name, body := range map[string]string{"no JSON": "<html>", "too large": `"` + string(make([]byte, maxAnswer)) + `"`} {
		broker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
		if v, err := Me.Get(context.Background(), New(Config{Broker: broker.URL})); err == nil || !reflect.DeepEqual(v, api.Login{}) {
			t.Errorf("%s: %v, %v", name, v, err)
		}
		broker.Close()
	}
}

// A disk of ours that is full is not told as a broker that does not answer, and a broker that
// breaks off is not told as a full disk.
func TestWhoseFaultItIs(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "2000000")
		_, _ = w.Write(make([]byte, 1_000_000)) // and no more
	}))
	defer s.Close()
	c := New(Config{Broker: s.URL, Agent: "x"})
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	if _, err := RecordingFile.Copy(t.Context(), c, "V-x", "", full); !errors.Is(err, syscall.ENOSPC) || session.KindOf(err) == session.Unreachable {
		t.Errorf("our full disk is told as %v", err)
	}
	if _, err := RecordingFile.Copy(t.Context(), c, "V-x", "", io.Discard); session.KindOf(err) != session.Unreachable {
		t.Errorf("a broker that breaks off is told as %v", err)
	}
}
