package crash

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// renamer stands before an honest broker and makes a hostile one of it: it gives things each
// other's names in what is answered, and, where it is sly, in what is asked as well.
type renamer struct {
	to    *url.URL
	names atomic.Pointer[strings.Replacer]
	sly   atomic.Bool
}

// exchange makes pairs change places; false turns everything to what it is.
func (r *renamer) exchange(sly bool, pairs ...string) {
	var both []string
	for i := 0; i+1 < len(pairs); i += 2 {
		both = append(both, pairs[i], pairs[i+1], pairs[i+1], pairs[i])
	}
	r.sly.Store(sly)
	r.names.Store(strings.NewReplacer(both...))
}

func (r *renamer) ServeHTTP(w http.ResponseWriter, in *http.Request) {
	names, sly := r.names.Load(), r.sly.Load()
	(&httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(r.to)
			p.Out.Host = p.In.Host
			if sly {
				p.Out.URL.Path, p.Out.URL.RawPath = names.Replace(p.In.URL.Path), ""
				p.Out.URL.RawQuery = names.Replace(p.In.URL.RawQuery)
			}
		},
		ModifyResponse: func(answer *http.Response) error {
			if answer.StatusCode == http.StatusSwitchingProtocols {
				return nil
			}
			body, err := io.ReadAll(answer.Body)
			if err != nil {
				return err
			}
			if strings.Contains(answer.Header.Get("Content-Type"), "json") {
				body = []byte(names.Replace(string(body)))
			}
			answer.Body = io.NopCloser(bytes.NewReader(body))
			answer.ContentLength = int64(len(body))
			answer.Header.Set("Content-Length", strconv.Itoa(len(body)))
			return nil
		},
	}).ServeHTTP(w, in)
}

// renamed is a verb of the people's command, and what must come of it where names change
// places in what is answered (plain), and where they do in what is asked as well (sly).
type renamed struct {
	who, verb  string
	plain, sly string
}

// What may come of it.
const (
	refuses = "refused, in words"
	truth   = "as if nothing was renamed" // the names stand in what was signed
	word    = "the broker's word"         // which proves nothing, of what was named, and nobody is told otherwise
	owns    = "what was named is opened, or nothing"
	narrows = "less than before" // which a broker can do unasked, and opens nothing
)

// The broker gives scanners, people, requests, sessions and recordings each other's names
// between a question and its answer. Whoever signs, opens, or is shown what was signed is
// told of nothing else than was named; the agent opens nothing else.
func TestABrokerThatRenames(t *testing.T) {
	t.Parallel()
	c := found(t)
	a := c.raiseNode("a", nil)
	r := &renamer{to: &url.URL{Scheme: "http", Host: a.web}}
	r.exchange(false)
	hostile := httptest.NewServer(r)
	t.Cleanup(hostile.Close)
	c.turn(&node{web: hostile.Listener.Addr().String(), ssh: a.ssh})
	c.raiseAgent(a)
	c.signIn()
	s1, s2 := c.granted("NGH-PETCT1", "1h"), c.granted("NGH-CT2", "1h")
	v1 := c.taped("one", scanner, nil)
	v2 := c.taped("two", other, []string{v1})
	r1, r2 := c.session(s1).Request, c.session(s2).Request
	w1, w2, d1, d2 := c.waits("NGH-PETCT1"), c.waits("NGH-CT2"), c.waits("NGH-PETCT1"), c.waits("NGH-CT2")
	pairs := []string{s1, s2, v1, v2, r1, r2, w1, w2, d1, d2, "NGH-PETCT1", "NGH-CT2", "j.brandt@meridian.example", "k.other@meridian.example"}

	verbs := []renamed{
		{"approver", "request show " + w1, refuses, word},
		{"approver", "approve --yes " + w1, refuses, refuses},
		{"engineer", "request new NGH/NGH-PETCT1/recon-ssh --reason r --work-order w --for 5m", refuses, word},
		{"engineer", "request extend " + s1 + " --for 5m --reason more", refuses, refuses},
		{"engineer", "activate " + r1, refuses, refuses},
		{"engineer", "ssh NGH/NGH-PETCT1/recon-ssh -- sh " + c.path("sshd", "device.sh") + " three once", refuses, owns},
		{"approver", "sessions show " + s1, refuses, word},
		{"auditor", "recordings verify " + v1, refuses, refuses},
		{"auditor", "recordings play --reason r " + v1, truth, refuses},
		{"auditor", "recordings fetch --reason r --output " + c.path("fetched") + " " + v1, truth, refuses},
		{"auditor", "recordings export --reason r --format asciicast-v2 " + v1, truth, refuses},
		{"auditor", "recordings review --attest as-agreed " + v1, refuses, word},
		{"auditor", "audit verify", truth, truth},
		{"approver", "sessions freeze " + s1, refuses, narrows},
		{"approver", "sessions thaw " + s1, refuses, narrows},
		{"engineer", "request withdraw " + w1, refuses, narrows},
		{"approver", "deny --reason no " + d1, refuses, narrows},
		{"approver", "revoke --reason no " + r1, refuses, narrows},
		{"approver", "sessions kill " + s1, refuses, narrows},
	}
	proving, tries := os.Getenv("SALLYPORT_PROVE") != "", 0
	for _, x := range verbs {
		for _, sly := range []bool{true, false} {
			want := x.plain
			if sly {
				want = x.sly
			}
			if !proving && sly != (x.sly == refuses) { // each verb once
				continue
			}
			tries++
			r.exchange(sly, pairs...)
			out, err := c.try(x.who, "sallyport", strings.Fields(x.verb)...)
			r.exchange(false)
			if ok := came(want, out, err, v2); !ok {
				t.Errorf("%s, sly: %v, wants to be %s:\n%s\n%v", x.verb, sly, want, out, err)
			}
		}
	}
	for _, rec := range c.recordings() { // the agent opened what was named, and says so
		if where := rec.Asset; rec.ID != v2 && where != "NGH-PETCT1" {
			t.Errorf("%s is of %s", rec.ID, where)
		}
	}
	t.Logf("ATTACK | a broker exchanges the names of scanners, people, requests, sessions and recordings in answers, and in questions as well | refused in words, or only what was signed is shown | %d verbs, tried %d times | holds", len(verbs), tries)
}

// came compares what came of a verb with what is wanted. never is what no answer may show.
func came(want, out string, err error, never string) bool {
	switch want {
	case refuses:
		said := fmt.Sprint(err)
		return err != nil && (strings.Contains(said, "was named") || strings.Contains(said, "was asked for") || strings.Contains(said, "another request") ||
			strings.Contains(said, "another scanner") || strings.Contains(said, "no service"))
	case truth:
		return err == nil && !strings.Contains(out, "NGH-CT2") && !strings.Contains(out, never)
	case word:
		return err == nil && !strings.Contains(out, "NGH-CT2") && !strings.Contains(out, never)
	}
	return want == owns || want == narrows // what was opened is on record
}

// waits is a request that waits.
func (c *cluster) waits(asset string) string {
	id, _, _ := strings.Cut(c.as("engineer", "sallyport", "request", "new", asset+"/recon-ssh", "--reason", "renamed", "--work-order", "WO-3", "--for", "10m"), "\n")
	return id
}

// taped is the recording of a short visit.
func (c *cluster) taped(name, host string, before []string) string {
	c.t.Helper()
	v := c.connect(name, host, "once")
	c.ended(v)
	return c.newest(before)
}
