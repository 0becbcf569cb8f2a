package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"github.com/sallyport/sallyport/session"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// provider is an identity provider that signs in whoever the login hint names and
// insists on what the command owes it: PKCE, state, nonce, a loopback redirect.
type provider struct {
	*httptest.Server
	key *rsa.PrivateKey

	mu    sync.Mutex
	codes map[string]url.Values
	evil  string            // "iss", "nonce", "discovery": what is done wrong
	stand map[string]string // hint -> who really signs in
}

func newProvider() *provider {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // a broken random source in a test
	}
	p := &provider{key: key, codes: map[string]url.Values{}, stand: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("/keys", p.keys)
	mux.HandleFunc("/authorize", p.authorize)
	mux.HandleFunc("/token", p.token)
	p.Server = httptest.NewServer(mux)
	return p
}

func (p *provider) trouble() string { p.mu.Lock(); defer p.mu.Unlock(); return p.evil }

func (p *provider) discovery(w http.ResponseWriter, _ *http.Request) {
	issuer := p.URL
	if p.trouble() == "discovery" {
		issuer = "https://elsewhere.example"
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"issuer": issuer, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token",
		"jwks_uri": p.URL + "/keys", "authorization_response_iss_parameter_supported": true, "id_token_signing_alg_values_supported": []string{"RS256"}})
}

func (p *provider) keys(w http.ResponseWriter, _ *http.Request) {
	_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.key.Public(), KeyID: "k1", Algorithm: "RS256", Use: "sig"}}})
}

func (p *provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || back.Hostname() != "127.0.0.1" || q.Get("code_challenge_method") != "S256" || len(q.Get("nonce")) != 43 || q.Get("state") == "" ||
		q.Get("response_type") != "code" || !strings.Contains(q.Get("scope"), "openid") {
		http.Error(w, "this authorization request is not acceptable", http.StatusBadRequest)
		return
	}
	answer := url.Values{"state": {q.Get("state")}, "iss": {p.URL}}
	if p.trouble() == "iss" {
		answer.Set("iss", "https://elsewhere.example")
	}
	if strings.HasPrefix(q.Get("login_hint"), "blocked@") {
		answer.Set("error", "access_denied")
		answer.Set("error_description", "account \x1b[31mdisabled")
	} else {
		code := rand.Text()
		p.mu.Lock()
		p.codes[code] = q
		p.mu.Unlock()
		answer.Set("code", code)
	}
	back.RawQuery = answer.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	p.mu.Lock()
	q, ok := p.codes[r.PostForm.Get("code")]
	delete(p.codes, r.PostForm.Get("code"))
	who := q.Get("login_hint")
	if other := p.stand[who]; other != "" {
		who = other
	}
	p.mu.Unlock()
	sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	if !ok || q.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) || r.PostForm.Get("redirect_uri") != q.Get("redirect_uri") {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
		return
	}
	now := time.Now().Unix()
	claims := map[string]any{"iss": p.URL, "sub": "sub-" + who, "aud": q.Get("client_id"), "nonce": q.Get("nonce"), "iat": now, "exp": now + 300, "email": who, "name": "Person " + strings.Split(who, "@")[0], "groups": groupsOf(who)}
	if q.Get("max_age") == "0" && q.Get("prompt") == "login" {
		claims["auth_time"] = now
	}
	if p.trouble() == "nonce" {
		claims["nonce"] = strings.Repeat("A", 43)
	}
	if p.trouble() == "names" {
		claims["email"], claims["name"] = "chief@northfield.example", "Chief <chief@northfield.example> https://evil.example/x"
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "unused", "token_type": "Bearer", "id_token": p.sign(claims)})
}

func (p *provider) sign(claims map[string]any) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: p.key, KeyID: "k1"}}, nil)
	if err != nil {
		panic(err) // our own key in a test
	}
	payload, _ := json.Marshal(claims)
	signed, err := signer.Sign(payload)
	if err != nil {
		panic(err)
	}
	compact, _ := signed.CompactSerialize()
	return compact
}

// claimsOf reads a token that sign made.
func claimsOf(compact string) map[string]any {
	parts := strings.Split(compact, ".")
	claims := map[string]any{}
	if len(parts) == 3 {
		payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
		_ = json.Unmarshal(payload, &claims)
	}
	return claims
}

// groupsOf is what the providers say of a person.
func groupsOf(who string) []string {
	if strings.HasPrefix(who, "approver") {
		return []string{session.GroupApprovers}
	}
	return []string{session.GroupEngineers}
}
