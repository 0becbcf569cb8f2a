package signin

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
)

const nonce = "0123456789012345678901234567890123456789abc"

// idp is a provider that gives one token, and keeps the form that asked for it.
func idp(t *testing.T, claims map[string]any, methods ...string) (issuer string, asked *url.Values) {
	t.Helper()
	asked = &url.Values{}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		doc := map[string]any{"issuer": server.URL, "authorization_endpoint": server.URL + "/a", "token_endpoint": server.URL + "/t"}
		if methods != nil {
			doc["token_endpoint_auth_methods_supported"] = methods
		}
		_ = json.NewEncoder(w).Encode(doc)
	})
	mux.HandleFunc("POST /t", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		*asked = r.PostForm
		if user, secret, ok := r.BasicAuth(); ok {
			asked.Set("header", user+":"+secret)
		}
		all := map[string]any{"iss": server.URL, "nonce": nonce}
		for k, v := range claims {
			all[k] = v
		}
		payload, _ := json.Marshal(all)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "x", "token_type": "Bearer",
			"id_token": "e30." + base64.RawURLEncoding.EncodeToString(payload) + ".c2ln"})
	})
	return server.URL, asked
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// The whole round trip as an issuer's entry wants it: registered address, posted answer,
// own scopes and parameters, a secret, and another claim that names the person.
func TestRoundTripAsTheEntrySays(t *testing.T) {
	for name, methods := range map[string][]string{"client_secret": {"client_secret_basic", "client_secret_post"}, "header": {"client_secret_basic"}, "header, when nothing is said": nil, "client_secret, when neither": {"none"}} {
		t.Run(name, func(t *testing.T) { roundTripAsTheEntrySays(t, strings.Split(name, ",")[0], methods) })
	}
}

func roundTripAsTheEntrySays(t *testing.T, where string, methods []string) {
	address, asked := idp(t, map[string]any{"sub": "pairwise", "unique_name": `NORTHFIELD\Anna`, "upn": "anna@northfield.example"}, methods...)
	port := freePort(t)
	i := session.Issuer{URL: address, InsecureLoopback: true, Tokens: session.Tokens{Subject: "unique_name"}, SignIn: session.SignIn{
		Scopes: []string{"openid", "allatclaims"}, Parameters: map[string]string{"domain_hint": "northfield.example"}, ResponseMode: "form_post",
		Redirect: session.Redirect{Host: "localhost", Ports: []int{port}, Path: "/sallyport/back"},
	}}
	if err := i.Check("$"); err != nil {
		t.Fatal(err)
	}
	f, err := Begin(t.Context(), Config{Issuer: i, ClientID: "console", Nonce: nonce, Hint: "anna", Fresh: true, Secret: "s3cr3t"})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	back := fmt.Sprintf("http://localhost:%d/sallyport/back", port)
	u, _ := url.Parse(f.URL)
	q := u.Query()
	for name, want := range map[string]string{"redirect_uri": back, "scope": "openid allatclaims", "domain_hint": "northfield.example", "response_mode": "form_post",
		"max_age": "0", "prompt": "login", "nonce": nonce, "login_hint": "anna", "code_challenge_method": "S256", "client_secret": ""} {
		if q.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, q.Get(name), want)
		}
	}
	post := func(path string, form url.Values) int {
		resp, err := http.PostForm(fmt.Sprintf("http://localhost:%d%s", port, path), form)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if post("/sallyport/back", url.Values{"state": {"another"}, "code": {"c"}}) != http.StatusBadRequest ||
		post("/cb", url.Values{"state": {q.Get("state")}, "code": {"c"}}) != http.StatusNotFound {
		t.Error("an answer that is not ours is taken")
	}
	if post("/sallyport/back", url.Values{"state": {q.Get("state")}, "code": {"c"}}) != http.StatusOK {
		t.Error("the answer is not taken")
	}
	_, claims, err := f.Wait(t.Context())
	if err != nil || claims.Sub != `northfield\anna` || claims.Email != "anna@northfield.example" {
		t.Errorf("%+v, %v", claims, err)
	}
	if want := map[string]string{"client_secret": "s3cr3t", "header": "console:s3cr3t"}[where]; asked.Get(where) != want || asked.Has("header") == asked.Has("client_secret") || asked.Get("redirect_uri") != back || asked.Get("code_verifier") == "" {
		t.Errorf("asked for the token with %v", *asked)
	}
}

// Where ports were registered no other one is tried: the issuer would send nobody there.
func TestOnlyRegisteredPorts(t *testing.T) {
	address, _ := idp(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	i := session.Issuer{URL: address, InsecureLoopback: true, SignIn: session.SignIn{Redirect: session.Redirect{Ports: []int{l.Addr().(*net.TCPAddr).Port}}}}
	_, err = Begin(t.Context(), Config{Issuer: i, ClientID: "console", Nonce: nonce})
	if err == nil || !strings.Contains(err.Error(), "is free") {
		t.Errorf("%v", err)
	}
}

// A plain sign-in by query, on any port, is the default.
func TestRoundTripByQuery(t *testing.T) {
	address, asked := idp(t, map[string]any{"sub": "u1", "email": "eva@meridian.example"})
	f, err := Begin(t.Context(), Config{Issuer: session.Issuer{URL: address, InsecureLoopback: true}, ClientID: "cli", Nonce: nonce})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	u, _ := url.Parse(f.URL)
	if !strings.HasPrefix(f.Redirect, "http://127.0.0.1:") || !strings.HasSuffix(f.Redirect, "/cb") || u.Query().Has("response_mode") || u.Query().Has("prompt") {
		t.Errorf("%s, %s", f.Redirect, f.URL)
	}
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get(f.Redirect + "?code=c&state=" + u.Query().Get("state"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if _, claims, err := f.Wait(t.Context()); err != nil || claims.Sub != "u1" || asked.Has("client_secret") {
		t.Errorf("%+v, %v, %v", claims, err, *asked)
	}
}
