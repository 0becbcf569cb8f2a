package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// hostile is what a call by cookie that changes something must not be.
func hostile() map[string]func(*http.Request) {
	set := func(pairs ...string) func(*http.Request) {
		return func(r *http.Request) {
			for i := 0; i < len(pairs); i += 2 {
				r.Header.Del(pairs[i])
				if pairs[i+1] != "" {
					r.Header.Set(pairs[i], pairs[i+1])
				}
			}
		}
	}
	return map[string]func(*http.Request){
		"cross-site":                      set("Sec-Fetch-Site", "cross-site"),
		"cross-site that omits an origin": set("Sec-Fetch-Site", "cross-site", "Origin", ""),
		"same-site":                       set("Sec-Fetch-Site", "same-site"),
		"typed into the address bar":      set("Sec-Fetch-Site", "none", "Origin", ""),
		"neither header":                  set("Sec-Fetch-Site", "", "Origin", ""),
		"another origin":                  set("Origin", "https://evil.example"),
		"another origin, no metadata":     set("Origin", "https://evil.example", "Sec-Fetch-Site", ""),
		"the null origin":                 set("Origin", "null"),
		"an origin with a suffix":         set("Origin", broker+".evil.example", "Sec-Fetch-Site", ""),
		"an origin with a slash":          set("Origin", broker+"/", "Sec-Fetch-Site", ""),
		"the origin without TLS":          set("Origin", strings.Replace(broker, "https", "http", 1), "Sec-Fetch-Site", ""),
		"an origin's other port":          set("Origin", broker+":8443", "Sec-Fetch-Site", ""),
		"two origins":                     func(r *http.Request) { r.Header.Add("Origin", broker) },
	}
}

// asBrowser checks that a cookie is worth what a bearer is on a route, and nothing
// where another site could have begun the call.
func (w *world) asBrowser(r route, x things, who string, want int) (changed bool) {
	w.t.Helper()
	path, body := w.aim(r, x)
	if r.method != http.MethodGet && (who == "ada" || who == "ben") {
		for what, spoil := range hostile() {
			w.problem(who+", "+what, w.browse(who, r.method, path, body, spoil), 403)
		}
	}
	got := w.browse(who, r.method, path, body)
	switch {
	case want != ok:
		w.problem(who+" by cookie", got, want)
	case got.status/100 != 2 && got.status != 400 && got.status != 409:
		w.t.Errorf("%s by cookie gets %d %s", who, got.status, got.body)
	}
	w.problem("a wrong cookie", w.browse("who", r.method, path, body), 401)
	w.problem("two cookies", w.browse(who, r.method, path, body, func(q *http.Request) { q.Header.Set("Cookie", loginCookie+"="+who+"; "+loginCookie+"=who") }), 401)
	w.problem("cookie and bearer", w.browse(who, r.method, path, body, func(q *http.Request) { q.Header.Set("Authorization", "Bearer "+who) }), 400)
	return got.status/100 == 2
}

func TestCallsByCookieAreJSON(t *testing.T) {
	w := newWorld(t)
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain; application/json", "application/json5"} {
		a := w.browse("ada", "POST", "/api/v1/logout", nil, func(r *http.Request) { r.Header.Set("Content-Type", kind) })
		w.problem("a body of "+kind, a, 400)
	}
	for what, change := range map[string]func(*http.Request){
		"metadata alone": func(r *http.Request) { r.Header.Del("Origin") },
		"origin alone":   func(r *http.Request) { r.Header.Del("Sec-Fetch-Site") },
		"a charset":      func(r *http.Request) { r.Header.Set("Content-Type", "application/json; charset=utf-8") },
	} {
		a := w.browse("ada", "POST", "/api/v1/logout", nil, change)
		if c := a.header.Get("Set-Cookie"); a.status != 204 || !strings.HasPrefix(c, loginCookie+"=;") || !strings.Contains(c, "Max-Age=0") {
			t.Errorf("%s: %d %q %s", what, a.status, c, a.body)
		}
	}
	if a := w.call("ada", "POST", "/api/v1/logout", nil); a.status != 204 || a.header.Get("Set-Cookie") != "" {
		t.Errorf("a bearer's logout: %d %v", a.status, a.header)
	}
}

func TestLoginsOverHTTP(t *testing.T) {
	w := newWorld(t)
	a := w.browse("ada", "GET", "/api/v1/logins", nil)
	if a.status != 200 || !strings.Contains(string(a.body), `"client":"web"`) || !strings.Contains(string(a.body), `"current":true`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	for _, bad := range []EndLogins{{}, {ID: "x", Everywhere: true}} {
		w.problem("neither or both", w.browse("ada", "POST", "/api/v1/logins/end", bad), 400)
	}
	if a := w.browse("ada", "POST", "/api/v1/logins/end", EndLogins{Everywhere: true}); a.status != 204 || a.header.Get("Set-Cookie") == "" {
		t.Errorf("everywhere: %d %s", a.status, a.body)
	}
	me := w.browse("ada", "GET", "/api/v1/me", nil)
	var l Login
	w.must(json.Unmarshal(me.body, &l))
	if l.Side != session.VendorSide || len(l.Sites) != 1 || l.Sites[0] != "*" || l.Token != "" {
		t.Errorf("me: %+v", l)
	}
}

// Plain calls: every one × every principal, like the matrix.
func TestPlainMatrix(t *testing.T) {
	w := newWorld(t)
	x := w.things()
	salt := bytes.Repeat([]byte{7}, 32)
	request := accesstest.Bytes(accesstest.Request(people()["ada"].Identity, "NGH", "NGH-PETCT1", w.clock()))
	grantBytes := accesstest.Bytes(w.agent.Grant(x.raw))
	docs := get[Documents](w, "ben", "GET", "/api/v1/requests/"+x.pending+"/documents", nil)
	granted := get[Documents](w, "ben", "GET", "/api/v1/requests/"+x.request+"/documents", nil)
	key := accesstest.NewKey()
	proofs := map[string]struct {
		in   ProofStart
		want verdict
	}{
		"request": {ProofStart{Role: "request", Document: request, Salt: salt, Nonce: grant.RequestNonce(request, [32]byte(salt))},
			verdict{"ada": 200, "adam": 403, "abroad": 403, "ben": 403, "audrey": 403, "fay": 403, "al": 403, "nothing": 403}},
		"approve": {ProofStart{Role: "approve", ID: x.pending, Document: grantBytes, Salt: salt, Nonce: grant.ApproveNonce(grantBytes, docs.Token, [32]byte(salt))},
			verdict{"ada": 403, "adam": 403, "abroad": 403, "ben": 200, "audrey": 403, "fay": 404, "al": 403, "nothing": 403}},
		"activate": {ProofStart{Role: "activate", ID: x.request, Key: key, Salt: salt, Nonce: grant.ActivateNonce(granted.Grant, key, [32]byte(salt))},
			verdict{"ada": 200, "adam": 404, "abroad": 404, "ben": 403, "audrey": 403, "fay": 403, "al": 403, "nothing": 403}},
	}
	for name, p := range proofs {
		for who, want := range p.want {
			a := w.browse(who, "POST", "/auth/proofs", p.in)
			if want != 200 {
				w.problem(name+" by "+who, a, want)
			} else if a.status != 200 || !strings.Contains(string(a.body), p.in.Nonce) || !strings.Contains(a.header.Get("Set-Cookie"), "SameSite=Lax") {
				t.Errorf("%s by %s: %d %s", name, who, a.status, a.body)
			}
		}
		for what, spoil := range hostile() {
			w.problem(what, w.browse("ada", "POST", "/auth/proofs", p.in, spoil), 403)
			w.problem(what, w.browse("", "POST", "/auth/login", LoginStart{Email: "ada@vendor"}, spoil), 403)
		}
		w.problem("nobody", w.browse("", "POST", "/auth/proofs", p.in), 401)
		w.problem("a bearer", w.browse("", "POST", "/auth/proofs", p.in, func(r *http.Request) { r.Header.Set("Authorization", "Bearer ada") }), 403)
	}
	for who, want := range (verdict{"ada": 200, "adam": 404, "ben": 404, "nothing": 403, "": 404}) {
		if a := w.browse(who, "GET", "/auth/outcomes/trip", nil); a.status != want {
			t.Errorf("the outcome for %q: %d %s", who, a.status, a.body)
		}
	}
}

// A proof is started only for what its nonce really covers.
func TestProofsThatDoNotStart(t *testing.T) {
	w := newWorld(t)
	x := w.things()
	salt := bytes.Repeat([]byte{7}, 32)
	request := accesstest.Bytes(accesstest.Request(people()["ada"].Identity, "NGH", "NGH-PETCT1", w.clock()))
	other := accesstest.Bytes(accesstest.Request(people()["ada"].Identity, "NGH", "NGH-PETCT1", w.clock()))
	good := ProofStart{Role: "request", Document: request, Salt: salt, Nonce: grant.RequestNonce(request, [32]byte(salt))}
	key := accesstest.NewKey()
	granted := get[Documents](w, "ben", "GET", "/api/v1/requests/"+x.request+"/documents", nil)
	join := ProofStart{Role: "activate", ID: x.request, Key: key, Salt: salt, Nonce: grant.ActivateNonce(granted.Grant, key, [32]byte(salt))}
	for what, c := range map[string]struct {
		of    ProofStart
		spoil func(*ProofStart)
		want  int
	}{
		"another document": {good, func(p *ProofStart) { p.Document = other }, 400},
		"another salt":     {good, func(p *ProofStart) { p.Salt = bytes.Repeat([]byte{8}, 32) }, 400},
		"a short salt":     {good, func(p *ProofStart) { p.Salt = salt[:31] }, 400},
		"no salt":          {good, func(p *ProofStart) { p.Salt = nil }, 400},
		"another nonce":    {good, func(p *ProofStart) { p.Nonce = strings.Repeat("A", 43) }, 400},
		"no nonce":         {good, func(p *ProofStart) { p.Nonce = "" }, 400},
		"a padded nonce":   {good, func(p *ProofStart) { p.Nonce += "=" }, 400},
		"another role's nonce": {good, func(p *ProofStart) {
			p.Nonce = grant.Nonce(grant.RoleLogin, grant.RequestHash(request), [32]byte{}, [32]byte(salt))
		}, 400},
		"no role":                 {good, func(p *ProofStart) { p.Role = "" }, 400},
		"the role login":          {good, func(p *ProofStart) { p.Role = "login" }, 400},
		"a key beside a request":  {good, func(p *ProofStart) { p.Key = key }, 400},
		"an id beside a request":  {good, func(p *ProofStart) { p.ID = x.request }, 400},
		"a document with a space": {good, func(p *ProofStart) { p.Document = append(p.Document[:len(p.Document):len(p.Document)], ' ') }, 400},
		"no document":             {good, func(p *ProofStart) { p.Document = nil }, 400},
		"a request as approval":   {good, func(p *ProofStart) { p.Role = "approve" }, 403},
		"another key":             {join, func(p *ProofStart) { p.Key = accesstest.NewKey() }, 400},
		"no key":                  {join, func(p *ProofStart) { p.Key = "" }, 400},
		"no id":                   {join, func(p *ProofStart) { p.ID = "" }, 400},
		"an unknown id":           {join, func(p *ProofStart) { p.ID = session.NewID().Request() }, 404},
		"nothing granted yet":     {join, func(p *ProofStart) { p.ID = x.pending }, 409},
		"a document beside a key": {join, func(p *ProofStart) { p.Document = request }, 400},
	} {
		in := c.of
		c.spoil(&in)
		w.problem(what, w.browse("ada", "POST", "/auth/proofs", in), c.want)
	}
	for what, body := range map[string]string{
		"a field too many": `{"role":"request","root":true}`, "two bodies": `{"role":"request"}{}`, "no JSON": `hello`, "nothing": ``,
		"a large body": `{"role":"request","nonce":"` + strings.Repeat("x", 70<<10) + `"}`,
	} {
		a := w.browse("ada", "POST", "/auth/proofs", nil, func(r *http.Request) {
			other := httptest.NewRequest("POST", "/", strings.NewReader(body))
			r.Body, r.ContentLength = other.Body, other.ContentLength
		})
		w.problem(what, a, 400)
	}
}

func TestPathsToComeBackTo(t *testing.T) {
	w := newWorld(t)
	for _, bad := range []string{"//evil", `/\evil`, `\\evil`, "https://evil.example", "evil", "javascript:alert(1)", "/\tevil", "/\n/evil", "/x y", "/é", "/a\x00",
		"/auth/callback/0badc0de?state=x", "/" + strings.Repeat("x", 1000), " /x", "///evil", `/\/evil`} {
		w.problem(bad, w.browse("", "POST", "/auth/login", LoginStart{Email: "ada@vendor", Return: bad}), 400)
	}
	for _, good := range []string{"", "/", "/requests/R-x?at=1#end", "/a/%2f/b"} {
		if a := w.browse("", "POST", "/auth/login", LoginStart{Email: "ada@vendor", Return: good}); a.status != 200 {
			t.Errorf("%q: %d %s", good, a.status, a.body)
		}
	}
	if p := w.problem("a browser that is nobody", w.browse("", "GET", "/api/v1/me", nil), 401); p.Next != "Sign in again." {
		t.Errorf("told to %s", p.Next)
	}
	w.problem("a persona outside a demonstration", w.browse("", "POST", "/auth/login", LoginStart{Persona: "engineer", Return: "/"}), 400)
}

// However a browser reads a path that is let through, it stays on this broker.
func FuzzLocalPath(f *testing.F) {
	for _, s := range []string{"/", "/requests/R-x?at=1", "//evil", `/\evil`, "/.//evil", "/%2f/evil", "/\t/evil", "/..//evil", "/@evil", "/:80"} {
		f.Add(s)
	}
	base, err := url.Parse(broker + "/auth/callback/0badc0de")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, p string) {
		if !localPath(p) {
			return
		}
		// Browsers drop tabs and line ends, and read a backslash as a slash.
		read := strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(p)
		u, err := url.Parse(read)
		if err != nil {
			return // a path with a wrong escape leads to nothing of ours, and nowhere else
		}
		if to := base.ResolveReference(u); to.Host != base.Host || to.Scheme != base.Scheme || to.User != nil {
			t.Errorf("%q leads to %s", p, to)
		}
	})
}

func TestHeadersOfPages(t *testing.T) {
	w := newWorld(t)
	d := &door{Config: Config{Now: w.clock}, rates: newRates()}
	page := d.guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'")
	}))
	for _, address := range []string{"https://broker/", "http://broker/"} {
		rec := httptest.NewRecorder()
		page.ServeHTTP(rec, httptest.NewRequest("GET", address, nil))
		h := rec.Header()
		if (h.Get("Strict-Transport-Security") != "") != strings.HasPrefix(address, "https") {
			t.Errorf("%s: HSTS %q", address, h.Get("Strict-Transport-Security"))
		}
		if h.Get("Content-Security-Policy") != "default-src 'self'" || !strings.Contains(h.Get("Permissions-Policy"), "camera=()") ||
			h.Get("Referrer-Policy") != "no-referrer" || h.Get("Cross-Origin-Opener-Policy") != "same-origin" || h.Get("Cross-Origin-Resource-Policy") != "same-origin" {
			t.Errorf("%s: %v", address, h)
		}
	}
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36":                         "Chrome on Linux",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/604.1":     "Safari on iPhone",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0":                                              "Firefox on Windows",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0": "Edge on Windows",
		"curl/8": "Another browser",
	} {
		if got := inWords(agent); got != want {
			t.Errorf("%s: %s", agent, got)
		}
	}
}
