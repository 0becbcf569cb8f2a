package devidp

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"go.uber.org/goleak"
	"golang.org/x/oauth2"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testKeys are made once: an RSA key costs a good part of a second under -race.
var testKeys = sync.OnceValue(func() []byte {
	raw, err := newKey()
	if err != nil {
		panic(err)
	}
	return raw
})

const (
	webRedirect = "https://broker.example/callback/hospital"
	verifier    = "correct-horse-battery-staple-correct-horse-battery"
)

// world is one issuer on a loopback port with a clock that the test moves.
type world struct {
	*testing.T
	*Provider
	srv *httptest.Server
	mu  sync.Mutex
	now time.Time
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) sleep(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func start(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, now: time.Now()}
	w.srv = httptest.NewUnstartedServer(nil)
	t.Cleanup(w.srv.Close)
	file := filepath.Join(t.TempDir(), "keys.pem")
	if err := os.WriteFile(file, testKeys(), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := New(Config{
		Issuer: "http://" + w.srv.Listener.Addr().String() + "/hospital", Name: Hospital.Name(), People: People(Hospital), KeyFile: file, Now: w.clock,
		Clients: []Client{
			{ID: "sallyport-console", Native: true, Redirects: []string{"/callback"}},
			{ID: "sallyport-cli", Native: true},
			{ID: "sallyport-web", Redirects: []string{webRedirect}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Provider = p
	w.srv.Config.Handler = p
	w.srv.Start()
	return w
}

// browser keeps cookies and follows nothing.
func browser(t *testing.T) *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// params are an honest request of the console; edits are name, value pairs and an
// empty value removes the name.
func params(edits ...string) url.Values {
	sum := sha256.Sum256([]byte(verifier))
	v := url.Values{
		"client_id": {"sallyport-console"}, "redirect_uri": {"http://127.0.0.1:40001/callback"},
		"response_type": {"code"}, "scope": {"openid email profile groups"}, "state": {"st4te"},
		"nonce": {"n-once"}, "code_challenge": {b64(sum[:])}, "code_challenge_method": {"S256"},
		"login_hint": {"m.okafor@northfield.example"},
	}
	for i := 0; i < len(edits); i += 2 {
		v.Del(edits[i])
		if edits[i+1] != "" {
			v.Set(edits[i], edits[i+1])
		}
	}
	return v
}

func (w *world) get(b *http.Client, v url.Values) (*http.Response, string) {
	w.Helper()
	res, err := b.Get(w.Issuer() + "/authorize?" + v.Encode())
	return w.read(res, err)
}

func (w *world) read(res *http.Response, err error) (*http.Response, string) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.Fatal(err)
	}
	return res, string(body)
}

// answer is what the redirect of an authorization request carries.
func (w *world) answer(b *http.Client, v url.Values) url.Values {
	w.Helper()
	res, body := w.get(b, v)
	return w.redirected(res, body, v)
}

func (w *world) redirected(res *http.Response, body string, v url.Values) url.Values {
	w.Helper()
	loc, err := res.Location()
	if err != nil || res.StatusCode != http.StatusSeeOther {
		w.Fatalf("no redirect but %d: %s", res.StatusCode, body)
	}
	q := loc.Query()
	loc.RawQuery = ""
	if loc.String() != v.Get("redirect_uri") {
		w.Fatalf("sent to %s", loc)
	}
	if q.Get("iss") != w.Issuer() || q.Get("state") != v.Get("state") {
		w.Fatalf("redirect lacks iss or state: %v", q)
	}
	return q
}

func (w *world) code(edits ...string) string {
	w.Helper()
	code := w.answer(browser(w.T), params(edits...)).Get("code")
	if code == "" {
		w.Fatal("no code")
	}
	return code
}

// redeem posts an honest token request with edits.
func (w *world) redeem(code string, edits ...string) (int, map[string]any) {
	w.Helper()
	v := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "client_id": {"sallyport-console"},
		"redirect_uri": {"http://127.0.0.1:40001/callback"}, "code_verifier": {verifier},
	}
	for i := 0; i < len(edits); i += 2 {
		v.Del(edits[i])
		if edits[i+1] != "" {
			v.Set(edits[i], edits[i+1])
		}
	}
	res, err := http.PostForm(w.Issuer()+"/token", v)
	res, body := w.read(res, err)
	var out map[string]any
	if err := json.Unmarshal([]byte(body), &out); err != nil {
		w.Fatalf("token answer %q: %v", body, err)
	}
	return res.StatusCode, out
}

// A relying party of the usual library accepts discovery, keys and token.
func TestRelyingPartyAccepts(t *testing.T) {
	w := start(t)
	defer http.DefaultClient.CloseIdleConnections()
	ctx := context.Background()
	rp, err := oidc.NewProvider(ctx, w.Issuer())
	if err != nil {
		t.Fatal(err)
	}
	conf := oauth2.Config{
		ClientID: "sallyport-console", Endpoint: rp.Endpoint(), RedirectURL: "http://[::1]:9/callback",
		Scopes: []string{oidc.ScopeOpenID, "email"},
	}
	v := oauth2.GenerateVerifier()
	where := conf.AuthCodeURL("abc", oidc.Nonce("the-nonce"), oauth2.S256ChallengeOption(v),
		oauth2.SetAuthURLParam("login_hint", "E.Rossi@northfield.example"))
	res, body := w.read(browser(t).Get(where))
	q := w.redirected(res, body, url.Values{"redirect_uri": {conf.RedirectURL}, "state": {"abc"}})
	tok, err := conf.Exchange(ctx, q.Get("code"), oauth2.VerifierOption(v))
	if err != nil {
		t.Fatal(err)
	}
	if tok.RefreshToken != "" {
		t.Error("a refresh token was issued")
	}
	raw, _ := tok.Extra("id_token").(string)
	id, err := rp.VerifierContext(ctx, &oidc.Config{ClientID: conf.ClientID, Now: w.clock}).Verify(ctx, raw)
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := id.Claims(&claims); err != nil {
		t.Fatal(err)
	}
	now := float64(w.clock().Unix())
	want := map[string]any{
		"iss": w.Issuer(), "aud": "sallyport-console", "sub": "37d8f0c19b664ea2", "nonce": "the-nonce",
		"email": "e.rossi@northfield.example", "email_verified": true, "name": "Elena Rossi",
		"iat": now, "auth_time": now, "exp": now + 3600, "groups": []any{"scanner-approvers"},
	}
	if fmt.Sprint(claims) != fmt.Sprint(want) {
		t.Errorf("claims\n got %v\nwant %v", claims, want)
	}
}

// What a script does: curl follows through to a listener on this machine.
func TestCurlSignsIn(t *testing.T) {
	w := start(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan url.Values, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			got <- r.URL.Query()
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
	}()
	defer func() { l.Close(); <-done }()
	redirect := "http://" + l.Addr().String() + "/callback"
	target := w.Issuer() + "/authorize?" + params("redirect_uri", redirect, "max_age", "0").Encode()
	if out, err := exec.Command("curl", "-sSLo", "/dev/null", "--max-time", "10", target).CombinedOutput(); err != nil {
		t.Fatalf("curl: %v: %s", err, out)
	}
	q := <-got
	if q.Get("state") != "st4te" || q.Get("iss") != w.Issuer() {
		t.Errorf("listener got %v", q)
	}
	if status, body := w.redeem(q.Get("code"), "redirect_uri", redirect); status != http.StatusOK {
		t.Errorf("the code curl brought is refused: %v", body)
	}
}

func TestCodesAreRefused(t *testing.T) {
	w := start(t)
	cases := []struct {
		name  string
		edits []string
		error string
	}{
		{"unknown code", []string{"code", "nonsense"}, "invalid_grant"},
		{"wrong verifier", []string{"code_verifier", strings.Repeat("x", 50)}, "invalid_grant"},
		{"verifier is the challenge", []string{"code_verifier", params().Get("code_challenge")}, "invalid_grant"},
		{"short verifier", []string{"code_verifier", "x"}, "invalid_grant"},
		{"no verifier", []string{"code_verifier", ""}, "invalid_request"},
		{"other client", []string{"client_id", "sallyport-cli"}, "invalid_grant"},
		{"unknown client", []string{"client_id", "mallory"}, "invalid_client"},
		{"no client", []string{"client_id", ""}, "invalid_client"},
		{"a secret", []string{"client_secret", "s3cret"}, "invalid_client"},
		{"other port", []string{"redirect_uri", "http://127.0.0.1:40002/callback"}, "invalid_grant"},
		{"no redirect", []string{"redirect_uri", ""}, "invalid_request"},
		{"password grant", []string{"grant_type", "password"}, "unsupported_grant_type"},
		{"refresh grant", []string{"grant_type", "refresh_token"}, "unsupported_grant_type"},
		{"device grant", []string{"grant_type", "urn:ietf:params:oauth:grant-type:device_code"}, "unsupported_grant_type"},
		{"no grant type", []string{"grant_type", ""}, "invalid_request"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			code := w.code()
			status, body := w.redeem(code, c.edits...)
			if status/100 != 4 || body["error"] != c.error || body["id_token"] != nil {
				t.Fatalf("%d %v, want %s", status, body, c.error)
			}
			// A code that was presented wrongly is used up; one that was not reached is not.
			status, _ = w.redeem(code)
			if burnt := status != http.StatusOK; burnt != (c.error == "invalid_grant" && c.name != "unknown code") {
				t.Errorf("afterwards the code answers %d", status)
			}
		})
	}
}

func TestCodeWorksOnceAndForAMinute(t *testing.T) {
	w := start(t)
	code := w.code()
	w.sleep(60 * time.Second)
	if status, body := w.redeem(code); status != http.StatusOK {
		t.Fatalf("after 60 s: %v", body)
	}
	if status, body := w.redeem(code); status != http.StatusBadRequest || body["error"] != "invalid_grant" {
		t.Errorf("second use: %d %v", status, body)
	}
	code = w.code()
	w.sleep(61 * time.Second)
	if status, body := w.redeem(code); status != http.StatusBadRequest || body["error"] != "invalid_grant" {
		t.Errorf("after 61 s: %d %v", status, body)
	}
}

func TestTokenEndpointIsStrict(t *testing.T) {
	w := start(t)
	post := func(kind, body, query string) *http.Response {
		res, err := http.Post(w.Issuer()+"/token"+query, kind, strings.NewReader(body))
		res, _ = w.read(res, err)
		return res
	}
	form := "application/x-www-form-urlencoded"
	for name, res := range map[string]*http.Response{
		"JSON body":      post("application/json", `{"grant_type":"authorization_code"}`, ""),
		"no media type":  post("", "grant_type=authorization_code", ""),
		"in the URL":     post(form, "client_id=sallyport-console", "?grant_type=authorization_code"),
		"repeated":       post(form, "client_id=sallyport-console&client_id=sallyport-cli", ""),
		"64 KiB and one": post(form, "client_id="+strings.Repeat("x", maxBody), ""),
	} {
		if res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
		if res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: cacheable", name)
		}
	}
	res, err := http.Get(w.Issuer() + "/token")
	if res, _ = w.read(res, err); res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", res.StatusCode)
	}
}

// Until client and address are known good, nothing is redirected anywhere.
func TestNeverRedirectsAbroad(t *testing.T) {
	w := start(t)
	cases := map[string][]string{
		"unknown client":   {"client_id", "mallory"},
		"no client":        {"client_id", ""},
		"no redirect":      {"redirect_uri", ""},
		"foreign host":     {"redirect_uri", "http://evil.example:40001/callback"},
		"loopback name":    {"redirect_uri", "http://localhost:40001/callback"},
		"other loopback":   {"redirect_uri", "http://127.0.0.2:40001/callback"},
		"https loopback":   {"redirect_uri", "https://127.0.0.1:40001/callback"},
		"userinfo":         {"redirect_uri", "http://127.0.0.1:40001@evil.example/callback"},
		"userinfo in port": {"redirect_uri", "http://127.0.0.1:x@evil.example/callback"},
		"suffix":           {"redirect_uri", "http://127.0.0.1.evil.example:40001/callback"},
		"backslash":        {"redirect_uri", `http://127.0.0.1:40001\@evil.example/callback`},
		"no port":          {"redirect_uri", "http://127.0.0.1/callback"},
		"port 0":           {"redirect_uri", "http://127.0.0.1:0/callback"},
		"port 99999":       {"redirect_uri", "http://127.0.0.1:99999/callback"},
		"port 040001":      {"redirect_uri", "http://127.0.0.1:040001/callback"},
		"other path":       {"redirect_uri", "http://127.0.0.1:40001/other"},
		"a query":          {"redirect_uri", "http://127.0.0.1:40001/callback?x=1"},
		"a fragment":       {"redirect_uri", "http://127.0.0.1:40001/callback#x"},
		"a line break":     {"redirect_uri", "http://127.0.0.1:40001/callback\r\nX: y"},
		"the web client's": {"redirect_uri", webRedirect},
		"web on loopback":  {"client_id", "sallyport-web"},
		"web, longer":      {"client_id", "sallyport-web", "redirect_uri", webRedirect + "/x"},
		"web, prefix":      {"client_id", "sallyport-web", "redirect_uri", "https://broker.example/callback"},
		"web, upper case":  {"client_id", "sallyport-web", "redirect_uri", strings.ToUpper(webRedirect)},
	}
	for name, edits := range cases {
		res, body := w.get(browser(t), params(edits...))
		if res.StatusCode != http.StatusBadRequest || res.Header.Get("Location") != "" || !strings.Contains(body, "Sign-in not possible") {
			t.Errorf("%s: %d, Location %q", name, res.StatusCode, res.Header.Get("Location"))
		}
	}
	twice := params()
	twice.Add("redirect_uri", "http://127.0.0.1:40003/callback")
	if res, _ := w.get(browser(t), twice); res.StatusCode != http.StatusBadRequest {
		t.Errorf("two redirects: %d", res.StatusCode)
	}
}

func TestAuthorizationErrorsGoBackToTheClient(t *testing.T) {
	w := start(t)
	cases := []struct{ name, param, value, want string }{
		{"no PKCE", "code_challenge", "", "invalid_request"},
		{"PKCE plain", "code_challenge_method", "plain", "invalid_request"},
		{"PKCE method absent", "code_challenge_method", "", "invalid_request"},
		{"challenge too short", "code_challenge", "abc", "invalid_request"},
		{"challenge alphabet", "code_challenge", strings.Repeat("+", 43), "invalid_request"},
		{"no response type", "response_type", "", "invalid_request"},
		{"implicit", "response_type", "id_token", "unsupported_response_type"},
		{"hybrid", "response_type", "code id_token", "unsupported_response_type"},
		{"fragment", "response_mode", "fragment", "invalid_request"},
		{"form post", "response_mode", "form_post", "invalid_request"},
		{"no openid", "scope", "email", "invalid_scope"},
		{"request object", "request", "eyJ", "request_not_supported"},
		{"request URI", "request_uri", "https://evil.example/", "request_uri_not_supported"},
		{"strange prompt", "prompt", "dance", "invalid_request"},
		{"none and login", "prompt", "none login", "invalid_request"},
		{"max_age word", "max_age", "soon", "invalid_request"},
		{"max_age negative", "max_age", "-1", "invalid_request"},
		{"nonce too long", "nonce", strings.Repeat("n", maxParam+1), "invalid_request"},
		{"silent native", "prompt", "none", "interaction_required"},
	}
	for _, c := range cases {
		q := w.answer(browser(t), params(c.param, c.value))
		if q.Get("error") != c.want || q.Get("code") != "" {
			t.Errorf("%s: %v, want %s", c.name, q, c.want)
		}
	}
}

// The session cookie reuses a login, as real providers do, and a client that asks for
// a fresh one gets it.
func TestSessionIsReusedUntilFreshnessIsAsked(t *testing.T) {
	w := start(t)
	b := browser(t)
	begin := w.clock().Unix()
	authTime := func(edits ...string) int64 {
		t.Helper()
		q := w.answer(b, params(edits...))
		_, body := w.redeem(q.Get("code"))
		raw, _ := body["id_token"].(string)
		return int64(claimsOf(t, raw)["auth_time"].(float64))
	}
	if at := authTime(); at != begin {
		t.Fatalf("first login at %d", at-begin)
	}
	steps := []struct {
		edits []string
		want  int64 // seconds after the first login
	}{
		{[]string{"login_hint", ""}, 0},
		{nil, 0},
		{[]string{"max_age", "3600"}, 0},
		{[]string{"max_age", "0"}, 40},
		{[]string{"max_age", "1"}, 50},
		{[]string{"prompt", "login"}, 60},
		{[]string{"max_age", "5"}, 70},
		{[]string{"login_hint", ""}, 70},
	}
	for i, step := range steps {
		w.sleep(10 * time.Second)
		if at := authTime(step.edits...); at-begin != step.want {
			t.Errorf("step %d %v: auth_time %d, want %d", i, step.edits, at-begin, step.want)
		}
	}
	// Somebody else's hint is never answered with the running session.
	if _, body := w.redeem(w.answer(b, params("login_hint", "s.adeyemi@northfield.example")).Get("code")); claimsOf(t, body["id_token"].(string))["name"] != "Sam Adeyemi" {
		t.Error("the hint of one person signed in another")
	}
	w.sleep(sessionLife + time.Second)
	if res, body := w.get(b, params("login_hint", "")); res.StatusCode != http.StatusOK || !strings.Contains(body, "Who is signing in?") {
		t.Errorf("an ended session still signs in: %d", res.StatusCode)
	}
}

// The silent sign-in that makes broker-side approvals weaker exists here as it does in
// real life - for the web client and a running session only.
func TestSilentSignInOfTheWebClient(t *testing.T) {
	w := start(t)
	b := browser(t)
	web := func(edits ...string) url.Values {
		return params(append([]string{"client_id", "sallyport-web", "redirect_uri", webRedirect, "prompt", "none"}, edits...)...)
	}
	if q := w.answer(b, web()); q.Get("error") != "login_required" {
		t.Fatalf("nobody signed in: %v", q)
	}
	w.answer(b, params())
	if q := w.answer(b, web()); q.Get("code") == "" {
		t.Errorf("running session: %v", q)
	}
	if q := w.answer(b, web("max_age", "0")); q.Get("error") != "login_required" {
		t.Errorf("fresh login asked: %v", q)
	}
	if q := w.answer(b, web("login_hint", "e.rossi@northfield.example")); q.Get("error") != "login_required" {
		t.Errorf("somebody else hinted: %v", q)
	}
	if q := w.answer(b, params("prompt", "none")); q.Get("error") != "interaction_required" {
		t.Errorf("native client: %v", q)
	}
}

// A person clicks: the page works as a plain form, and its answer signs in afresh.
func TestPage(t *testing.T) {
	w := start(t)
	b := browser(t)
	v := params("login_hint", "nobody<b>@northfield.example", "max_age", "0")
	res, body := w.get(b, v)
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	for _, want := range []string{"Maya Okafor", "Elena Rossi", "Sam Adeyemi", "nobody&lt;b&gt;@northfield.example", "127.0.0.1:40001", "sallyport-console"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	_, style, _ := strings.Cut(body, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	if want := loadedCSP(t, style); res.Header.Get("Content-Security-Policy") != want {
		t.Errorf("policy %q does not allow the page's style", res.Header.Get("Content-Security-Policy"))
	}
	if strings.Contains(body, "<script") || strings.Contains(body, "style=") {
		t.Error("the page wants more than its policy gives")
	}
	action := w.Issuer() + "/authorize?" + v.Encode()
	if !strings.Contains(html.UnescapeString(body), `action="`+action+`"`) {
		t.Error("the form does not lead back to the request")
	}
	res, err := b.PostForm(action, url.Values{"person": {"c86b13ef04d74975"}})
	res, body = w.read(res, err)
	_, got := w.redeem(w.redirected(res, body, v).Get("code"))
	if c := claimsOf(t, got["id_token"].(string)); c["name"] != "Sam Adeyemi" || c["auth_time"] != float64(w.clock().Unix()) {
		t.Errorf("signed in %v", c)
	}
	res, err = b.PostForm(action, url.Values{"person": {"root"}})
	if res, _ = w.read(res, err); res.StatusCode != http.StatusBadRequest {
		t.Errorf("an unknown person: %d", res.StatusCode)
	}
	if res, _ = w.get(browser(t), params("login_hint", "", "person", "c86b13ef04d74975")); res.StatusCode != http.StatusOK {
		t.Errorf("a link chose the person: %d", res.StatusCode)
	}
}

func loadedCSP(t *testing.T, style string) string {
	t.Helper()
	if style != pageCSS {
		t.Error("the style on the page is not the style that was hashed")
	}
	g, err := loadPages()
	if err != nil {
		t.Fatal(err)
	}
	return g.csp
}

// Nobody can make the provider hold more than its limits.
func TestMapsAreBounded(t *testing.T) {
	w := start(t)
	for range maxCodes {
		if _, ok := w.putCode(code{ends: w.clock().Add(codeLife)}); !ok {
			t.Fatal("refused early")
		}
	}
	if q := w.answer(browser(t), params()); q.Get("error") != "temporarily_unavailable" {
		t.Errorf("one code too many: %v", q)
	}
	w.sleep(codeLife + time.Second)
	w.code()
	who, _ := w.hinted("m.okafor@northfield.example")
	for range maxSessions + 50 {
		w.signIn(httptest.NewRecorder(), who)
	}
	if n := len(w.sessions); n != maxSessions {
		t.Errorf("%d sessions are kept", n)
	}
}
