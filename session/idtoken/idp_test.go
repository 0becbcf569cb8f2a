package idtoken_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
)

const (
	issuer = "https://example.com" // the name in httptest's certificate
	client = "sallyport-cli"
)

// Making keys is slow, so the tests share them.
var (
	rsaKey   = sync.OnceValue(func() *rsa.PrivateKey { return newRSA(2048) })
	otherRSA = sync.OnceValue(func() *rsa.PrivateKey { return newRSA(2048) })
	weakRSA  = sync.OnceValue(func() *rsa.PrivateKey { return newRSA(1024) })
	ecKey    = sync.OnceValue(func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		return k
	})
)

func newRSA(bits int) *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return k
}

// idp is an identity provider that says whatever a test wants.
type idp struct {
	server *httptest.Server
	target string // where its name leads to; "" is itself

	mu        sync.Mutex
	now       time.Time
	skew      time.Duration // of its Date header
	discovery map[string]any
	keys      []any
	broken    bool
	redirect  string
	padding   int
	fetches   int           // of the key set
	visits    int           // of anything
	hold      chan struct{} // the next visit sends on it, then waits for it
}

func newIDP(t testing.TB) *idp {
	p := &idp{
		now:       time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
		discovery: map[string]any{"issuer": issuer, "jwks_uri": issuer + "/keys"},
		keys:      []any{publicJWK("k1", rsaKey().Public(), "sig")},
	}
	p.server = httptest.NewTLSServer(p)
	t.Cleanup(p.server.Close)
	return p
}

func (p *idp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	hold := p.hold
	p.hold = nil
	p.visits++
	defer p.mu.Unlock()
	if hold != nil {
		p.mu.Unlock()
		hold <- struct{}{}
		<-hold
		p.mu.Lock()
	}
	w.Header().Set("Date", p.now.Add(-p.skew).UTC().Format(http.TimeFormat))
	var body any
	switch {
	case p.broken:
		http.Error(w, "broken", http.StatusBadGateway)
		return
	case p.redirect != "" && r.URL.Path != "/moved" && r.URL.Path != "/keys":
		http.Redirect(w, r, p.redirect, http.StatusFound)
		return
	case r.URL.Path == "/.well-known/openid-configuration", r.URL.Path == "/moved":
		body = p.discovery
	case r.URL.Path == "/keys":
		p.fetches++
		body = map[string]any{"keys": p.keys, "padding": string(make([]byte, p.padding))}
	default:
		http.NotFound(w, r)
		return
	}
	_ = json.NewEncoder(w).Encode(body)
}

// change does something to the provider between requests.
func (p *idp) change(f func(*idp)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p)
}

func (p *idp) pass(d time.Duration) { p.change(func(p *idp) { p.now = p.now.Add(d) }) }

func (p *idp) clock() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *idp) fetched() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetches
}

func (p *idp) options() idtoken.Options {
	roots := x509.NewCertPool()
	roots.AddCert(p.server.Certificate())
	return idtoken.Options{
		Roots: roots,
		Now:   p.clock,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			p.mu.Lock()
			address := p.target
			p.mu.Unlock()
			if address == "" {
				address = p.server.Listener.Addr().String()
			}
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	}
}

func (p *idp) keySet(t testing.TB) *idtoken.KeySet {
	t.Helper()
	return p.keySetWith(t, session.Issuer{URL: issuer, Domains: []string{"vendor.example"}}, p.options())
}

func (p *idp) keySetWith(t testing.TB, i session.Issuer, o idtoken.Options) *idtoken.KeySet {
	t.Helper()
	set, err := idtoken.NewKeySet(i, o)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// expect is what the good token satisfies.
func (p *idp) expect() idtoken.Expect {
	return idtoken.Expect{
		Issuer: issuer, Clients: []string{client, "sallyport-web"}, Nonce: "the-nonce",
		At: p.clock(), MaxAge: 15 * time.Minute,
	}
}

func goodHeader() map[string]any {
	return map[string]any{"alg": "RS256", "kid": "k1", "typ": "JWT"}
}

func (p *idp) goodClaims() map[string]any {
	now := p.clock().Unix()
	return map[string]any{
		"iss": issuer, "sub": "u1", "aud": client, "nonce": "the-nonce",
		"iat": now - 1, "exp": now + 300, "auth_time": now - 11,
		"email": "eva@vendor.example", "name": "Eva Engineer", "groups": []string{"field-service"},
	}
}

// with returns a copy of m with changes; nil deletes.
func with(m map[string]any, changes map[string]any) map[string]any {
	out := maps.Clone(m)
	for k, v := range changes {
		if v == nil {
			delete(out, k)
			continue
		}
		out[k] = v
	}
	return out
}

func (p *idp) good(changes map[string]any) string {
	return mint(rsaKey(), goodHeader(), with(p.goodClaims(), changes))
}

func mint(key any, header, claims any) string {
	h, err := json.Marshal(header)
	if err != nil {
		panic(err)
	}
	c, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	return mintRaw(key, string(h), string(c))
}

// mintRaw signs any header and payload, which no library would.
func mintRaw(key any, header, payload string) string {
	input := b64([]byte(header)) + "." + b64([]byte(payload))
	digest := sha256.Sum256([]byte(input))
	var sig []byte
	var err error
	switch k := key.(type) {
	case *rsa.PrivateKey:
		sig, err = rsa.SignPKCS1v15(nil, k, crypto.SHA256, digest[:])
	case *ecdsa.PrivateKey:
		r, s, e := ecdsa.Sign(rand.Reader, k, digest[:])
		sig, err = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), e
	case ed25519.PrivateKey:
		sig = ed25519.Sign(k, []byte(input))
	case []byte:
		sig = k
	}
	if err != nil {
		panic(err)
	}
	return input + "." + b64(sig)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func publicJWK(kid string, key any, use string) jose.JSONWebKey {
	return jose.JSONWebKey{Key: key, KeyID: kid, Use: use}
}
