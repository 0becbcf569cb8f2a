package probe

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sallyport/sallyport/session"
)

var words = map[string]session.ModalityState{
	"READY": session.InService, "LOADED": session.PatientOnTable, "SCANNING": session.Scanning, "IDLE": session.ModalityIdle, "true": session.Down,
}

func ask(t *testing.T, s *httptest.Server, cfg Config) (session.ModalityState, string) {
	t.Helper()
	host, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	cfg.Address = host
	if cfg.Port, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p.Ask(t.Context())
}

func TestAnswersHaveTheMeaningTheyAreGiven(t *testing.T) {
	for name, c := range map[string]struct {
		code  int
		body  string
		field string
		words map[string]session.ModalityState
		want  session.ModalityState
	}{
		"field":              {200, `{"modality":{"state":"SCANNING"}}`, "modality.state", words, session.Scanning},
		"field, otherwise":   {200, `{"modality":{"state":"READY"}}`, "modality.state", words, session.InService},
		"a field of a kind":  {200, `{"fault":true}`, "fault", words, session.Down},
		"part of a word":     {200, `{"modality":{"state":"NOT READY"}}`, "modality.state", words, session.ModalityUnknown},
		"another field":      {200, `{"state":"READY"}`, "modality.state", words, session.ModalityUnknown},
		"a field of objects": {200, `{"modality":{"state":{"READY":1}}}`, "modality.state", words, session.ModalityUnknown},
		"no JSON":            {200, `READY`, "modality.state", words, session.ModalityUnknown},
		"text":               {200, `state: READY`, "", words, session.InService},
		"the strictest":      {200, `READY since 10:00, LOADED, SCANNING`, "", words, session.Scanning},
		"no word":            {200, `??`, "", words, session.ModalityUnknown},
		"code alone":         {200, ``, "", nil, session.InService},
		"another code":       {503, `READY`, "", words, session.ModalityUnknown},
		"no content":         {204, ``, "", nil, session.ModalityUnknown},
		"too long":           {200, "READY" + strings.Repeat(" ", maxAnswer), "", words, session.ModalityUnknown},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/status" {
				http.NotFound(w, r)
				return
			}
			w.WriteHeader(c.code)
			_, _ = io.WriteString(w, c.body)
		}))
		if got, detail := ask(t, s, Config{Path: "/status", Field: c.field, States: c.words}); got != c.want {
			t.Errorf("%s: %s (%s), want %s", name, got, detail, c.want)
		}
		s.Close()
	}
}

func TestADeviceLeadsNobodyElsewhere(t *testing.T) {
	var visited atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		visited.Store(true)
		_, _ = io.WriteString(w, "READY")
	}))
	defer elsewhere.Close()
	s := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusFound))
	defer s.Close()
	if got, _ := ask(t, s, Config{Path: "/", States: words}); got != session.ModalityUnknown || visited.Load() {
		t.Errorf("%s, and was led elsewhere: %v", got, visited.Load())
	}
	t.Setenv("HTTP_PROXY", elsewhere.URL)
	if got, _ := ask(t, s, Config{Path: "/"}); got != session.ModalityUnknown || visited.Load() {
		t.Errorf("%s by a proxy: %v", got, visited.Load())
	}
}

func TestOnlyThePinnedCertificateCounts(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "READY") }))
	defer s.Close()
	sum := sha256.Sum256(s.Certificate().Raw)
	if got, detail := ask(t, s, Config{Path: "/", States: words, Pin: "sha256:" + hex.EncodeToString(sum[:])}); got != session.InService {
		t.Error(got, detail)
	}
	sum[0]++
	if got, detail := ask(t, s, Config{Path: "/", States: words, Pin: "sha256:" + hex.EncodeToString(sum[:])}); got != session.ModalityUnknown || !strings.Contains(detail, "certificate") {
		t.Error(got, detail)
	}
	if got, _ := ask(t, s, Config{Path: "/", States: words}); got != session.ModalityUnknown {
		t.Error(got)
	}
}

func TestAPortThatAnswersAndOneThatDoesNot(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	if got, detail := ask(t, s, Config{}); got != session.InService {
		t.Error(got, detail)
	}
	s.Close()
	for _, cfg := range []Config{{}, {Path: "/"}} {
		got, detail := ask(t, s, cfg)
		if got != session.ModalityUnknown || strings.Contains(detail, "127.0.0.1") {
			t.Error(got, detail)
		}
	}
}

func TestProbesThatAreRefused(t *testing.T) {
	good := Config{Address: "10.40.12.11", Port: 80, Path: "/status", States: words}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for what, spoil := range map[string]func(*Config){
		"no port":              func(c *Config) { c.Port = 0 },
		"no address":           func(c *Config) { c.Address = "" },
		"another host":         func(c *Config) { c.Path = "http://10.0.0.1/" },
		"another host, hidden": func(c *Config) { c.Path = "//10.0.0.1/" },
		"no path":              func(c *Config) { c.Path = "status" },
		"a pin of md5":         func(c *Config) { c.Pin = "md5:00" },
		"a short pin":          func(c *Config) { c.Pin = "sha256:00" },
		"no such state":        func(c *Config) { c.States = map[string]session.ModalityState{"X": "asleep"} },
		"an empty word":        func(c *Config) { c.States = map[string]session.ModalityState{"": session.Scanning} },
		"a field for nothing":  func(c *Config) { c.States, c.Field = nil, "x" },
		"no page to read":      func(c *Config) { c.Path = "" },
	} {
		c := good
		spoil(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s was taken", what)
		}
	}
}
