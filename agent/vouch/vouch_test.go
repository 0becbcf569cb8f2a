package vouch_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/agent/vouch"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// adfs is a provider in the hospital. Nobody but the desk's dialer finds it: nothing
// listens at the address that its URL names.
type adfs struct {
	*http.ServeMux
	url  string // "http://localhost:9/adfs"
	desk *vouch.Desk
	doc  map[string]any

	mu   sync.Mutex
	seen []string // "POST /adfs/oauth2/token/ code=..."
	auth string   // the last Authorization header
}

func newADFS(t *testing.T, change ...func(*session.Issuer)) *adfs {
	t.Helper()
	const host = "http://localhost:9"
	a := &adfs{ServeMux: http.NewServeMux(), url: host + "/adfs"}
	a.doc = map[string]any{"issuer": a.url, "authorization_endpoint": a.url + "/oauth2/authorize/", "token_endpoint": a.url + "/oauth2/token/", "jwks_uri": a.url + "/discovery/keys"}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a.mu.Lock()
		a.seen = append(a.seen, strings.TrimSpace(r.Method+" "+r.RequestURI+" "+string(body)))
		a.auth = r.Header.Get("Authorization")
		a.mu.Unlock()
		w.Header().Set("Set-Cookie", "MSISSamlRequest=secret")
		w.Header().Set("Server", "Microsoft-HTTPAPI/2.0")
		a.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	a.HandleFunc("GET /adfs/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(a.doc) })
	a.HandleFunc("GET /adfs/discovery/keys", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"keys":[]}`) })
	a.HandleFunc("POST /adfs/oauth2/token/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"id_token":"x"}`) })
	issuer := session.Issuer{URL: a.url, Side: session.HospitalSide, Vouch: true, InsecureLoopback: true, Login: "cli",
		Clients: map[string]session.ClientClass{"console": session.Console, "web": session.Web}}
	for _, f := range change {
		f(&issuer)
	}
	inside := func(ctx context.Context, network, address string) (net.Conn, error) {
		if address != "localhost:9" {
			t.Errorf("the agent dials %s", address)
		}
		return new(net.Dialer).DialContext(ctx, network, srv.Listener.Addr().String())
	}
	a.desk = vouch.New([]session.Issuer{issuer}, func(session.Issuer) idtoken.Options { return idtoken.Options{Dial: inside} }, slog.New(slog.DiscardHandler))
	return a
}

// raw sends bytes to the desk as a broker would, and reads the answer; nil: there was none.
func (a *adfs) raw(t *testing.T, issuer, text string) *http.Response {
	t.Helper()
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() { defer close(done); a.desk.Serve(t.Context(), issuer, far) }()
	defer func() { _ = near.Close(); <-done }()
	go func() { _, _ = io.WriteString(near, text) }() // ends when the desk closes
	resp, err := http.ReadResponse(bufio.NewReader(near), nil)
	if err != nil {
		return nil
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body = io.NopCloser(strings.NewReader(string(body)))
	return resp
}

func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: localhost:9\r\n\r\n" }

func post(path, form string, header ...string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost:9\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n%s\r\n%s", path, len(form), strings.Join(header, ""), form)
}

// form is a code's exchange, with changes.
func form(change ...string) string {
	f := url.Values{"grant_type": {"authorization_code"}, "code": {"c0de"}, "code_verifier": {strings.Repeat("v", 43)}, "client_id": {"web"}, "redirect_uri": {"https://broker.example/auth/callback"}}
	for i := 0; i < len(change); i += 2 {
		if f.Set(change[i], change[i+1]); change[i+1] == "" {
			f.Del(change[i])
		}
	}
	return f.Encode()
}

const token = "/adfs/oauth2/token/"

// What a hostile broker asks for. None of it reaches the provider: the agent itself has
// read the discovery document, and nothing more.
func TestTheProviderIsAskedNothingElse(t *testing.T) {
	basic := "Authorization: Basic Y29uc29sZTpz\r\n" // console:s
	for name, ask := range map[string]string{
		"another page":                   get("/adfs/ls/idpinitiatedsignon"),
		"the sign-in page":               get("/adfs/oauth2/authorize/?client_id=web"),
		"a path that leads back":         get("/adfs/discovery/../.well-known/openid-configuration"),
		"a query behind the keys":        get("/adfs/discovery/keys?x=1"),
		"the keys, by POST":              post("/adfs/discovery/keys", form()),
		"the keys' deletion":             "DELETE /adfs/discovery/keys HTTP/1.1\r\nHost: localhost:9\r\n\r\n",
		"the token endpoint, by GET":     get(token),
		"another host":                   "GET /adfs/.well-known/openid-configuration HTTP/1.1\r\nHost: intranet\r\n\r\n",
		"a whole address":                "GET http://169.254.169.254/latest HTTP/1.1\r\nHost: localhost:9\r\n\r\n",
		"a tunnel":                       "CONNECT localhost:9 HTTP/1.1\r\nHost: localhost:9\r\n\r\n",
		"a password":                     post(token, form("grant_type", "password", "username", "anna", "password", "x")),
		"a password in a code's clothes": post(token, form("username", "anna", "password", "x")),
		"a refresh token":                post(token, form("grant_type", "refresh_token", "refresh_token", "x")),
		"a device's code":                post(token, form("grant_type", "urn:ietf:params:oauth:grant-type:device_code")),
		"the client's own credentials":   post(token, form("grant_type", "client_credentials")),
		"no grant":                       post(token, form("grant_type", "")),
		"no code":                        post(token, form("code", "")),
		"no PKCE":                        post(token, form("code_verifier", "")),
		"two codes":                      post(token, form()+"&code=other"),
		"a resource":                     post(token, form("resource", "urn:other")),
		"the console's client":           post(token, form("client_id", "console")),
		"the command line's client":      post(token, form("client_id", "cli")),
		"an unknown client":              post(token, form("client_id", "other")),
		"no client":                      post(token, form("client_id", "")),
		"the console's, by its header":   post(token, form("client_id", ""), basic),
		"two clients":                    post(token, form(), basic),
		"half a form":                    post(token, "%"),
		"a form too long":                post(token, form("code", strings.Repeat("x", 17<<10))),
	} {
		t.Run(name, func(t *testing.T) {
			a := newADFS(t)
			if resp := a.raw(t, a.url, ask); resp == nil || resp.StatusCode != http.StatusForbidden {
				t.Errorf("answered %+v", resp)
			}
			for _, s := range a.seen {
				if s != "GET /adfs/.well-known/openid-configuration" {
					t.Errorf("the provider was asked %q", s)
				}
			}
		})
	}
}

func TestOnlyTheHospitalsOwnProviderIsAsked(t *testing.T) {
	document := get("/adfs/.well-known/openid-configuration")
	for name, change := range map[string]func(*session.Issuer){
		"which it does not vouch for": func(i *session.Issuer) { i.Vouch = false },
		"which is the vendor's":       func(i *session.Issuer) { i.Side = session.VendorSide },
		"which is another":            func(i *session.Issuer) { i.URL += "/other" },
	} {
		t.Run(name, func(t *testing.T) {
			a := newADFS(t, change)
			resp := a.raw(t, a.url, document)
			if resp == nil || resp.StatusCode != http.StatusForbidden || !strings.Contains(resp.Status, "does not vouch") || len(a.seen) > 0 {
				t.Errorf("answered %+v after %q", resp, a.seen)
			}
		})
	}
}

// What comes back is bounded, and what the provider says of itself is held to what the
// hospital's configuration names.
func TestProvidersThatAnswerBadly(t *testing.T) {
	big := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 300<<10)) }
	for name, row := range map[string]struct {
		spoil  func(*adfs)
		ask    string
		status int
	}{
		"another issuer's document":   {func(a *adfs) { a.doc["issuer"] = "https://evil.example" }, get("/adfs/discovery/keys"), http.StatusBadGateway},
		"tokens on another host":      {func(a *adfs) { a.doc["token_endpoint"] = "http://localhost:10" + token }, "POST " + token + " HTTP/1.1\r\nHost: localhost:10\r\nContent-Length: 0\r\n\r\n", http.StatusForbidden},
		"tokens at an unsafe address": {func(a *adfs) { a.doc["token_endpoint"] = "http://adfs.example" + token }, "POST " + token + " HTTP/1.1\r\nHost: adfs.example\r\nContent-Length: 0\r\n\r\n", http.StatusForbidden},
		"keys on another host":        {func(a *adfs) { a.doc["jwks_uri"] = "http://localhost:10/keys" }, "GET /keys HTTP/1.1\r\nHost: localhost:10\r\n\r\n", http.StatusForbidden},
		"no token endpoint":           {func(a *adfs) { delete(a.doc, "token_endpoint") }, post(token, form()), http.StatusForbidden},
		"an endless document":         {func(a *adfs) { a.doc["x"] = strings.Repeat("x", 300<<10) }, get("/adfs/.well-known/openid-configuration"), http.StatusBadGateway},
		"an endless answer to a code": {func(a *adfs) {
			a.ServeMux = http.NewServeMux()
			a.HandleFunc("POST "+token, big)
			a.HandleFunc("GET /", a.document)
		}, post(token, form()), http.StatusBadGateway},
		"a redirect instead of tokens": {func(a *adfs) {
			a.ServeMux = http.NewServeMux()
			a.HandleFunc("POST "+token, func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "http://intranet/", http.StatusTemporaryRedirect)
			})
			a.HandleFunc("GET /", a.document)
		}, post(token, form()), http.StatusTemporaryRedirect},
	} {
		t.Run(name, func(t *testing.T) {
			a := newADFS(t)
			row.spoil(a)
			resp := a.raw(t, a.url, row.ask)
			if resp == nil || resp.StatusCode != row.status || resp.Header.Get("Location") != "" {
				t.Errorf("answered %+v", resp)
			}
		})
	}
}

func (a *adfs) document(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(a.doc) }

func TestTheThreeQuestions(t *testing.T) {
	a := newADFS(t)
	for _, row := range []struct{ ask, want string }{
		{get("/adfs/.well-known/openid-configuration"), `"issuer"`},
		{get("/adfs/discovery/keys"), `{"keys":[]}`},
		{post(token, form()), `{"id_token":"x"}`},
		{post(token, form("client_id", ""), "Authorization: Basic d2ViOnM=\r\n"), `{"id_token":"x"}`}, // web:s
	} {
		resp := a.raw(t, a.url, row.ask)
		if resp == nil {
			t.Fatalf("no answer to %q", row.ask)
		}
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), row.want) || resp.Header.Get("Date") == "" {
			t.Errorf("%q: %d %s", row.ask, resp.StatusCode, body)
		}
		if resp.Header.Get("Set-Cookie") != "" || resp.Header.Get("Server") != "" {
			t.Errorf("passed on: %v", resp.Header)
		}
	}
	if !slices.Contains(a.seen, "POST "+token+" "+form()) || a.auth != "Basic d2ViOnM=" {
		t.Errorf("the provider was asked %q, %q", a.seen, a.auth)
	}
}

// A broker that asks without end is not let through without end, nor one that says nothing.
func TestQuestionsAreFew(t *testing.T) {
	a := newADFS(t)
	refused := 0
	for range 60 {
		if resp := a.raw(t, a.url, get("/adfs/discovery/keys")); resp.StatusCode == http.StatusForbidden && strings.Contains(resp.Status, "too many") {
			refused++
		}
	}
	if refused < 20 {
		t.Errorf("%d of 60 refused", refused)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	near, far := net.Pipe()
	defer near.Close()
	a.desk.Serve(ctx, a.url, far) // returns, because its time is up
	if resp := a.raw(t, a.url, strings.Repeat("x", 64<<10)); resp != nil {
		t.Errorf("answered %+v", resp)
	}
}
