package api

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/broker/identity"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
	"github.com/sallyport/sallyport/session/link"
)

func pretty(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, bytes.TrimSpace(b), "", "  "); err != nil {
		t.Fatalf("%v: %.200s", err, b)
	}
	return append(out.Bytes(), '\n')
}

// The whole way, as the command line walks it.
func TestOneAccessFromRequestToReplay(t *testing.T) {
	w := newWorld(t)
	const v1 = "/api/v1"
	if i := get[Info](w, "", "GET", v1+"/info", nil); i.Version != "v1" || i.Node != "n1" || i.SSH.Address == "" {
		t.Errorf("info: %+v", i)
	}
	if me := get[Login](w, "ada", "GET", v1+"/me", nil); me.Token != "" || me.Person.Sub != "ada" || len(me.Roles) != 1 || me.SSH.HostKey == "" {
		t.Errorf("me: %+v", me)
	}
	assets := get[[]Asset](w, "ada", "GET", v1+"/assets", nil)
	if len(assets) != 1 || !assets[0].Online || assets[0].Longest != 8*3600 || len(assets[0].Services) != 2 || assets[0].Needed != 1 {
		t.Errorf("assets: %+v", assets)
	}
	explain := v1 + "/access/NGH/NGH-PETCT1/recon-ssh"
	if x := get[Access](w, "ada", "GET", explain, nil); x.Ready || x.Pending || x.Message != "You have not asked for NGH/NGH-PETCT1/recon-ssh." {
		t.Errorf("access: %+v", x)
	}
	s := w.submission("ada")
	a := w.call("ada", "POST", v1+"/requests", s)
	var r Request
	w.must(json.Unmarshal(a.body, &r))
	if a.status != http.StatusCreated || r.Status != session.Pending || r.Grant != nil || r.Needed != 1 || r.WorkOrder != "WO-1" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if x := get[Access](w, "ada", "GET", explain, nil); x.Ready || !x.Pending || x.Message != "The hospital has not answered yet." || x.Request != r.ID {
		t.Errorf("access: %+v", x)
	}
	waited := make(chan Request)
	go func() {
		a := w.send("ada", "GET", v1+"/requests/"+r.ID+"?wait=20&status=pending", nil)
		var v Request
		if err := json.Unmarshal(a.body, &v); err != nil {
			t.Errorf("%d %s", a.status, a.body)
		}
		waited <- v
	}()
	d := get[Documents](w, "ben", "GET", v1+"/requests/"+r.ID+"/documents", nil)
	if !bytes.Equal(d.Request, s.Request) || d.Token != s.Token || !bytes.Equal(d.Salt, s.Salt) || d.Approvals == nil {
		t.Errorf("documents: %+v", d)
	}
	w.problem("an engineer approves", w.call("ada", "POST", v1+"/requests/"+r.ID+"/approvals", w.decision(d.Request, "ada")), 403)
	yes := get[Decided](w, "ben", "POST", v1+"/requests/"+r.ID+"/approvals", w.decision(d.Request, "ben"))
	if !yes.Admitted || yes.Request.Status != session.Approved || yes.Request.Grant == nil || yes.Request.Approvals != 1 {
		t.Fatalf("approved: %+v", yes)
	}
	if v := <-waited; v.Status != session.Approved || *v.Grant != *yes.Request.Grant {
		t.Errorf("waited for %+v", v)
	}
	if x := get[Access](w, "ada", "GET", explain, nil); !x.Ready || x.Session != *yes.Request.Grant || x.Kind != "" {
		t.Errorf("access: %+v", x)
	}
	w.sessionAndReplay(v1, r, *yes.Request.Grant)
}

func (w *world) sessionAndReplay(v1 string, r Request, sid string) {
	t := w.t
	rec := session.NewID()
	rep := link.SessionReport{Session: sid, Request: r.ID, Seq: 1, Asset: "NGH-PETCT1", Service: "recon-ssh", Opened: w.clock(),
		Deadline: w.clock().Add(time.Hour), Recordings: []link.RecordingReport{{Recording: rec.Recording(), Service: "recon-ssh", Protocol: session.SSH, Started: w.clock()}}}
	w.must(w.access.ReportSession(t.Context(), "NGH", "main", rep))
	w.must(w.access.AppendPart(t.Context(), "NGH", "main", rec, "header", 12))
	if all := get[[]Session](w, "ben", "GET", v1+"/sessions", nil); len(all) != 1 || all[0].State != session.Live || all[0].Reason != nil ||
		all[0].Ended != nil || all[0].Engineer != "ada@vendor" || len(all[0].Recordings) != 1 {
		t.Errorf("sessions: %+v", all)
	}
	over := get[Session](w, "ben", "POST", v1+"/sessions/"+sid+"/kill", nil)
	if over.State != session.Ended || *over.Reason != session.KilledRemote || over.Ended == nil {
		t.Errorf("killed: %+v", over)
	}
	if v := get[Request](w, "ada", "GET", v1+"/requests/"+r.ID, nil); v.Status != session.Closed {
		t.Errorf("the request is %s", v.Status)
	}
	w.must(w.access.SealRecording(t.Context(), "NGH", "main", rec, w.clock(), false))
	all := get[[]Recording](w, "audrey", "GET", v1+"/recordings", nil)
	if len(all) != 1 || all[0].State != "sealed" || all[0].Bytes != 12 || all[0].Session != sid || all[0].Ended == nil || all[0].Engineer != "ada@vendor" {
		t.Errorf("recordings: %+v", all)
	}
	f := w.call("audrey", "GET", v1+"/recordings/"+rec.Recording()+"/file?reason=incident+7", nil)
	if f.status != 200 || string(f.body) != w.vault.content || f.header.Get("Content-Type") != "application/octet-stream" ||
		!strings.HasPrefix(f.header.Get("Content-Disposition"), "attachment") || !strings.Contains(f.header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("file: %d %q %v", f.status, f.body, f.header)
	}
	w.vault.before = session.Errorf(session.Unreachable, "the vault is away").WithNext("Wait.")
	w.problem("a vault that is away", w.call("audrey", "GET", v1+"/recordings/"+rec.Recording()+"/file?reason=incident+7", nil), 503)
	w.vault.before, w.vault.after = nil, errors.New("disk")
	req, err := http.NewRequestWithContext(t.Context(), "GET", w.url+v1+"/recordings/"+rec.Recording()+"/file?reason=incident+7", nil)
	w.must(err)
	req.Header.Set("Authorization", "Bearer audrey")
	resp, err := http.DefaultClient.Do(req)
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("a recording that broke off looks whole")
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestDenyAndWithdrawOverHTTP(t *testing.T) {
	w := newWorld(t)
	one := get[Request](w, "ada", "POST", "/api/v1/requests", w.submission("ada"))
	w.problem("no reason", w.call("ben", "POST", "/api/v1/requests/"+one.ID+"/deny", Denial{}), 400)
	v := get[Request](w, "ben", "POST", "/api/v1/requests/"+one.ID+"/deny", Denial{Reason: "scanner in use until 15:00"})
	if v.Status != session.DeniedBy || v.DenyReason != "scanner in use until 15:00" || v.DeniedBy != "ben@hospital" {
		t.Errorf("denied: %+v", v)
	}
	p := w.problem("deny again", w.call("ben", "POST", "/api/v1/requests/"+one.ID+"/deny", Denial{Reason: "x"}), 409)
	if p.Kind != session.Refused {
		t.Errorf("kind %s", p.Kind)
	}
	two := get[Request](w, "ada", "POST", "/api/v1/requests", w.submission("ada"))
	if v := get[Request](w, "ada", "POST", "/api/v1/requests/"+two.ID+"/withdraw", nil); v.Status != session.Withdrawn {
		t.Errorf("withdrawn: %+v", v)
	}
	all := get[[]Request](w, "ben", "GET", "/api/v1/requests", nil)
	if len(all) != 2 || all[0].ID != two.ID || all[1].ID != one.ID {
		t.Errorf("not newest first: %+v", all)
	}
	w.agent.SetOnline(false)
	p = w.problem("agent away", w.call("ada", "POST", "/api/v1/requests", w.submission("ada")), 503)
	if p.Kind != session.Unreachable || p.Message != "The agent at NGH is not connected." {
		t.Errorf("problem: %+v", p)
	}
}

func TestMalformedCalls(t *testing.T) {
	w := newWorld(t)
	x := w.things()
	for name, c := range map[string]struct {
		method, path, body string
		status             int
	}{
		"no JSON":            {"POST", "/api/v1/requests", "hello", 400},
		"another type":       {"POST", "/api/v1/requests", `{"request":1,"token":"","salt":""}`, 400},
		"a field missing":    {"POST", "/api/v1/requests", `{"token":"a","salt":""}`, 400},
		"a field too many":   {"POST", "/api/v1/requests", `{"request":"","token":"","salt":"","root":true}`, 400},
		"no base64":          {"POST", "/api/v1/requests", `{"request":"!","token":"","salt":""}`, 400},
		"nothing":            {"POST", "/api/v1/requests", "", 400},
		"two megabytes":      {"POST", "/api/v1/requests", `"` + strings.Repeat("x", 2<<20) + `"`, 413},
		"a wait too long":    {"GET", "/api/v1/requests/" + x.request + "?wait=31", "", 400},
		"a wait of words":    {"GET", "/api/v1/requests/" + x.request + "?wait=long", "", 400},
		"an unknown query":   {"GET", "/api/v1/requests?all=1", "", 400},
		"an id in capitals":  {"GET", "/api/v1/requests/" + strings.ToUpper(x.request), "", 400},
		"another noun's id":  {"GET", "/api/v1/requests/" + x.session, "", 400},
		"no id":              {"GET", "/api/v1/sessions/x", "", 400},
		"an unknown path":    {"GET", "/api/v1/users", "", 404},
		"another version":    {"GET", "/api/v2/me", "", 404},
		"a verb not offered": {"DELETE", "/api/v1/requests/" + x.request, "", 404},
		"many parameters":    {"GET", "/api/v1/requests?" + strings.Repeat("a=b&", 300), "", 400},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, w.url+c.path, strings.NewReader(c.body))
		w.must(err)
		req.Header.Set("Authorization", "Bearer ada")
		req.Header.Set("Content-Type", "application/json")
		w.now.Add(1e9)
		w.problem(name, w.do(req), c.status)
	}
	for name, spoil := range map[string]func(http.Header){
		"two logins":    func(h http.Header) { h.Add("Authorization", "Bearer ben") },
		"a giant token": func(h http.Header) { h.Set("Authorization", "Bearer "+strings.Repeat("x", 15<<10)) },
		"lower case":    func(h http.Header) { h.Set("Authorization", "bearer ada") },
		"a cookie":      func(h http.Header) { h.Del("Authorization"); h.Set("Cookie", "token=ada") },
	} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", w.url+"/api/v1/me", nil)
		w.must(err)
		req.Header.Set("Authorization", "Bearer ada")
		spoil(req.Header)
		w.now.Add(1e9)
		w.problem(name, w.do(req), 401)
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", w.url+"/livez", nil)
	w.must(err)
	req.Header.Set("Cookie", strings.Repeat("a=b;", 30))
	w.problem("many cookies", w.do(req), 431)
}

func TestRateOfOneCaller(t *testing.T) {
	w := newWorld(t)
	for i := range 45 { // the clock stands
		a := w.send("ada", "GET", "/api/v1/me", nil)
		if (a.status == 429) != (i >= 40) {
			t.Fatalf("call %d: %d", i+1, a.status)
		}
	}
	if a := w.send("ben", "GET", "/api/v1/me", nil); a.status != 200 {
		t.Errorf("another caller: %d", a.status)
	}
	w.now.Add(int64(100 * time.Millisecond))
	if a := w.send("ada", "GET", "/api/v1/me", nil); a.status != 200 {
		t.Errorf("a moment later: %d", a.status)
	}
}

func TestPagesAndHeaders(t *testing.T) {
	w := newWorld(t)
	for path, want := range map[string]string{
		"/livez": "ok", "/readyz": "ok", "/healthz": "ok", "/readyz?verbose": "store ok\nok", "/openapi.json": `"openapi"`,
	} {
		a := w.call("", "GET", path, nil)
		if a.status != 200 || !strings.Contains(string(a.body), want) {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	seen := map[string]bool{}
	for _, path := range []string{"/", "/nowhere", "/api/v1/info", "/api/v1/me", "//"} {
		a := w.call("", "GET", path, nil)
		id := a.header.Get("X-Request-Id")
		if !strings.HasPrefix(a.header.Get("Content-Security-Policy"), "default-src 'none'") || a.header.Get("X-Content-Type-Options") != "nosniff" ||
			a.header.Get("Cache-Control") != "no-store" || len(id) < 20 || seen[id] {
			t.Errorf("%s: %v", path, a.header)
		}
		seen[id] = true
	}
	gone := w.redis.Addr()
	w.redis.Close()
	if a := w.call("", "GET", "/readyz?verbose", nil); a.status != 503 || !strings.Contains(string(a.body), "store failed") {
		t.Errorf("without a store: %d %s", a.status, a.body)
	}
	if a := w.call("", "GET", "/livez", nil); a.status != 200 {
		t.Errorf("alive: %d", a.status)
	}
	p := w.problem("without a store", w.call("ada", "GET", "/api/v1/requests", nil), 503)
	if strings.Contains(p.Detail, gone) || p.Kind != session.Unreachable {
		t.Errorf("tells too much: %+v", p)
	}
	w.doors.down.Store(true)
	w.problem("nobody can be asked", w.call("ada", "GET", "/api/v1/me", nil), 503)
}

func TestPagesStandBesideTheAPI(t *testing.T) {
	w := newWorld(t, func(_ *world, c *Config) {
		c.Pages = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "a page") })
	})
	for _, path := range []string{"/", "/inbox", "/requests/R-ABC", "/apis"} {
		if a := w.call("", "GET", path, nil); a.status != 200 || string(a.body) != "a page" {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	for _, call := range []string{"GET /api/v1/nothing", "GET /api/", "GET /auth/nothing", "POST /", "DELETE /inbox"} {
		method, path, _ := strings.Cut(call, " ")
		if p := w.problem(call, w.call("", method, path, nil), 404); p.Message != "There is nothing here." {
			t.Errorf("%s: %+v", call, p)
		}
	}
}

// Wherever people are asked why, an answer that nobody can read is none, and nothing
// happens for it.
func TestSilenceIsNoReason(t *testing.T) {
	w := newWorld(t)
	x := w.things()
	ada := people()["ada"].Identity
	silent := map[string]string{"nothing": "", "spaces": " \u00a0\u3000", "no width": "\u200b\u200d", "Hangul fillers": "\u3164\u115f\uffa0", "Braille blanks": "\u2800\u2800",
		"variation selectors": "\ufe0f\ufe0e", "tags": "\U000e0041\U000e007f", "marks alone": "\u0301", "a join": "\u034f", "blank hieroglyphs": "\U00013441", "dots": "..."}
	for path, of := range map[string]struct {
		who  string
		body func(reason string) any
	}{
		"/requests/" + x.pending + "/deny":        {"ben", func(s string) any { return Denial{Reason: s} }},
		"/requests/" + x.request + "/revoke":      {"ben", func(s string) any { return Revocation{Reason: s} }},
		"/engineers/disable":                      {"ben", func(s string) any { return Standing{Site: "NGH", Iss: ada.Iss, Sub: ada.Sub, Reason: s} }},
		"/engineers/enable":                       {"ben", func(s string) any { return Standing{Site: "NGH", Iss: ada.Iss, Sub: ada.Sub, Reason: s} }},
		"/recordings/" + x.recording + "/viewed":  {"audrey", func(s string) any { return Viewing{Reason: s} }},
		"/recordings/" + x.recording + "/reviews": {"audrey", func(s string) any { return Attestation{Attestation: access.Concern, Comment: s} }},
		"/requests/" + x.pending + "/propose": {"ben", func(s string) any {
			return Counter{From: w.clock().Add(time.Hour), Until: w.clock().Add(2 * time.Hour), Reason: s}
		}},
		"/requests": {"ada", func(s string) any { return w.asking("ada", s) }},
	} {
		for what, reason := range silent {
			if reason == "" && strings.HasSuffix(path, "/propose") {
				continue // may be left out
			}
			a := w.call(of.who, "POST", "/api/v1"+path, of.body(reason))
			if a.status != 400 && a.status != 422 {
				t.Errorf("%s for %s: %d %s", path, what, a.status, a.body)
			}
		}
	}
	if r := get[Request](w, "ben", "GET", "/api/v1/requests/"+x.pending, nil); r.Status != session.Pending || r.Proposal != nil {
		t.Errorf("something happened: %+v", r)
	}
	if r := get[Request](w, "ben", "GET", "/api/v1/requests/"+x.request, nil); r.Status != session.Approved {
		t.Errorf("revoked: %+v", r)
	}
}

func TestDetailsStayInside(t *testing.T) {
	w := newWorld(t)
	x := w.things()
	for _, err := range []error{errors.New("dial tcp 10.0.0.7: secret"), session.Errorf(session.Internal, "secret %d", 1), &session.Error{Kind: session.Internal, Message: "secret"}} {
		w.vault.before = err
		a := w.call("ada", "GET", "/api/v1/recordings/"+x.recording+"/file?reason=incident+7", nil)
		w.problem("an inner failure", a, 500)
		if strings.Contains(string(a.body), "secret") || !strings.Contains(string(a.body), a.header.Get("X-Request-Id")) {
			t.Errorf("%s", a.body)
		}
	}
}

// jwt is an issuer whose tokens are believed; only their binding is checked.
type jwt struct{}

func (jwt) Verify(_ context.Context, issuer, compact string, e idtoken.Expect) (idtoken.Claims, error) {
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(compact, ".")[1])
	var c struct{ Iss, Sub, Nonce string }
	if err != nil || json.Unmarshal(b, &c) != nil || c.Iss != issuer || c.Nonce != e.Nonce {
		return idtoken.Claims{}, errors.New("no")
	}
	return idtoken.Claims{Person: session.Person{Identity: session.Identity{Iss: c.Iss, Sub: c.Sub}, Email: "ada@vendor"}, Client: e.Clients[0],
		Groups: []string{session.GroupEngineers}, IssuedAt: e.At, Expires: e.At.Add(time.Hour)}, nil
}

func TestLoginAndLogoutOverHTTP(t *testing.T) {
	nonce := func(subject, extra, salt [32]byte) string {
		sum := sha256.Sum256(append(append(append([]byte("sallyport/v1/login\x00"), subject[:]...), extra[:]...), salt[:]...))
		return base64.RawURLEncoding.EncodeToString(sum[:])
	}
	w := newWorld(t, func(w *world, c *Config) {
		d, err := identity.New(identity.Config{BrokerURL: "http://broker", Tokens: jwt{}, Sessions: w.store, Attempts: w.store, Nonce: nonce, Now: w.clock,
			Issuers: []identity.Issuer{{Issuer: session.Issuer{URL: "https://vendor", Side: session.VendorSide, Login: "sallyport-cli"}, Sites: []string{"NGH"}}}})
		w.must(err)
		c.Identity = d
	})
	pub, key, err := ed25519.GenerateKey(nil)
	w.must(err)
	salt := [32]byte{1}
	line := session.KeyLine(pub)
	payload := accesstest.Bytes(map[string]string{"iss": "https://vendor", "sub": "ada",
		"nonce": nonce(sha256.Sum256([]byte("http://broker")), sha256.Sum256([]byte(line)), salt)})
	token := "e30." + base64.RawURLEncoding.EncodeToString(payload) + ".x"
	in := SignIn{IDToken: token, Salt: salt[:], Key: line, Signature: ed25519.Sign(key, identity.ProofMessage(token))}
	bad := in
	bad.Signature = ed25519.Sign(key, []byte(token))
	w.problem("no proof", w.call("", "POST", "/api/v1/login", bad), 401)
	l := get[Login](w, "", "POST", "/api/v1/login", in)
	if len(l.Token) != 43 || l.Person.Sub != "ada" || len(l.Roles) != 1 || l.SSH.Address == "" {
		t.Fatalf("login: %+v", l)
	}
	w.problem("the same token", w.call("", "POST", "/api/v1/login", in), 401)
	if me := get[Login](w, l.Token, "GET", "/api/v1/me", nil); me.Person.Sub != "ada" || !me.Expires.Equal(l.Expires) {
		t.Errorf("me: %+v", me)
	}
	if a := w.call(l.Token, "POST", "/api/v1/logout", nil); a.status != 204 || len(a.body) != 0 {
		t.Errorf("logout: %d %s", a.status, a.body)
	}
	w.problem("after logout", w.call(l.Token, "GET", "/api/v1/me", nil), 401)
	for range 30 {
		w.send("", "POST", "/api/v1/login", bad) // which keeps nobody out
	}
	for range 20 {
		w.send("", "POST", "/api/v1/login", in)
	}
	p := w.problem("too often", w.send("", "POST", "/api/v1/login", in), 429)
	if p.Kind != session.Refused {
		t.Errorf("kind %s", p.Kind)
	}
}
