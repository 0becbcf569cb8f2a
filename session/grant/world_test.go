package grant_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/idtoken"
)

var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// world is a site with its agent's verifier, an approver's console, two identity
// providers behind one server, and a clock.
type world struct {
	t        testing.TB
	now      time.Time
	skew     time.Duration
	vendor   string
	hospital string
	identity ed25519.PublicKey
	policy   grant.Policy
	keys     *idtoken.KeySets
	verifier *grant.Verifier
}

type person struct{ sub, group string }

var (
	eva   = person{"eva", session.GroupEngineers}
	anna  = person{"anna", session.GroupApprovers}
	bernd = person{"bernd", session.GroupApprovers}
)

// newWorld lets tests change the policy before the verifier is made.
func newWorld(t testing.TB, change ...func(*world)) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)}
	server := httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(server.Close)
	w.vendor, w.hospital = server.URL+"/vendor", server.URL+"/hospital"
	w.identity = ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)
	w.policy = grant.Policy{
		Site: "NGH", Agent: session.Fingerprint(w.identity), Issuers: w.issuers(),
		Assets: map[string]session.Asset{"NGH-PETCT1": {
			Name: "NGH-PETCT1",
			Services: []session.Service{
				{Name: "console-ssh", Protocol: session.SSH, Class: session.Disruptive},
				{Name: "recon-ssh", Protocol: session.SSH, Class: session.NonDisruptive},
			},
		}, "NGH-MR1": {Name: "NGH-MR1", Services: []session.Service{{Name: "recon-ssh", Protocol: session.SSH, Class: session.Observe}}}},
	}
	for _, c := range change {
		c(w)
	}
	var err error
	w.keys, err = idtoken.NewKeySets(w.policy.Issuers, func(session.Issuer) idtoken.Options {
		return idtoken.Options{Now: func() time.Time { return w.now }}
	})
	if err != nil {
		t.Fatal(err)
	}
	if w.verifier, err = grant.NewVerifier(w.policy, w.keys); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) issuers() []session.Issuer {
	return []session.Issuer{
		{URL: w.vendor, Side: session.VendorSide, InsecureLoopback: true, Domains: []string{"example.org"}, JWKS: w.vendor + "/keys", Tokens: session.Tokens{Subject: "sub"}, Login: "sallyport-cli",
			Clients: map[string]session.ClientClass{"sallyport-cli": session.CLI, "sallyport-web": session.Web}},
		{URL: w.hospital, Side: session.HospitalSide, InsecureLoopback: true, Domains: []string{"example.org"}, JWKS: w.hospital + "/keys", Tokens: session.Tokens{Subject: "sub"}, Login: "sallyport-cli",
			Clients: map[string]session.ClientClass{"sallyport-console": session.Console, "sallyport-web": session.Web}},
	}
}

// asset changes the scanner's policy.
func asset(f func(*session.Policy)) func(*world) {
	return func(w *world) {
		a := w.policy.Assets["NGH-PETCT1"]
		f(&a.Policy)
		w.policy.Assets["NGH-PETCT1"] = a
	}
}

// oneIssuer makes both sides share one identity provider.
func oneIssuer(w *world) {
	w.hospital = w.vendor
	w.policy.Issuers = w.issuers()
}

func (w *world) serve(rw http.ResponseWriter, _ *http.Request) {
	rw.Header().Set("Date", w.now.Add(-w.skew).Format(http.TimeFormat))
	_ = json.NewEncoder(rw).Encode(map[string]any{"keys": []any{
		jose.JSONWebKey{Key: testKey().Public(), KeyID: "k1", Use: "sig"},
	}})
}

func (w *world) request() grant.Request {
	r := grant.NewRequest()
	r.Site, r.Asset, r.Services = "NGH", "NGH-PETCT1", []string{"console-ssh", "recon-ssh"}
	r.Class, r.Channels = session.NonDisruptive, []session.Channel{session.Exec, session.Shell}
	r.NBF, r.EXP, r.MaxS = w.now.Unix(), w.now.Unix()+4*3600, 1800
	r.Eng = session.Identity{Iss: w.vendor, Sub: eva.sub}
	r.Key = keyLine(1)
	r.Reason, r.Ref = "tube arcs at 120 kV <again> & again", "WO-1234"
	return r
}

func keyLine(seed byte) string {
	b := make([]byte, 32)
	b[0] = seed
	return session.KeyLine(ed25519.NewKeyFromSeed(b).Public().(ed25519.PublicKey))
}

func (w *world) grantFor(requestDoc []byte) grant.Grant {
	r, err := grant.ParseRequest(requestDoc)
	if err != nil {
		w.t.Fatal(err)
	}
	g := grant.NewGrant()
	qh := grant.RequestHash(requestDoc)
	g.Req, g.Site, g.Agent, g.Asset = hex.EncodeToString(qh[:]), r.Site, session.Fingerprint(w.identity), r.Asset
	g.Services, g.Class, g.Channels, g.NBF, g.EXP, g.MaxS = r.Services, r.Class, r.Channels, r.NBF, r.EXP, r.MaxS
	return g
}

func marshal[D interface{ Marshal() ([]byte, error) }](t testing.TB, d D) []byte {
	t.Helper()
	b, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// token signs in a person; changes replace claims, nil deletes them.
func (w *world) token(iss, aud, nonce string, who person, changes map[string]any) string {
	now := w.now.Unix()
	claims := map[string]any{
		"iss": iss, "aud": aud, "sub": who.sub, "nonce": nonce, "groups": []string{who.group},
		"email": who.sub + "@example.org", "name": who.sub, "iat": now, "exp": now + 300, "auth_time": now - 5,
	}
	for k, v := range changes {
		if claims[k] = v; v == nil {
			delete(claims, k)
		}
	}
	payload, _ := json.Marshal(claims)
	input := b64([]byte(`{"alg":"RS256","kid":"k1"}`)) + "." + b64(payload)
	digest := sha256.Sum256([]byte(input))
	sig, err := rsa.SignPKCS1v15(nil, testKey(), crypto.SHA256, digest[:])
	if err != nil {
		w.t.Fatal(err)
	}
	return input + "." + b64(sig)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// ask is the engineer's proof for a request, made in the CLI.
func (w *world) ask(doc []byte, changes map[string]any) grant.Proof {
	salt := grant.NewSalt()
	return grant.Proof{Token: w.token(w.vendor, "sallyport-cli", grant.RequestNonce(doc, salt), eva, changes), Salt: salt[:]}
}

// approve is an approver's proof for a grant, made in the console.
func (w *world) approve(doc []byte, engineer grant.Receipt, who person, changes map[string]any) grant.Proof {
	salt := grant.NewSalt()
	nonce := grant.ApproveNonce(doc, engineer.Proof.Token, salt)
	return grant.Proof{Token: w.token(w.hospital, "sallyport-console", nonce, who, changes), Salt: salt[:]}
}

// asked is a request that the agent took.
func (w *world) asked() ([]byte, grant.Receipt) {
	w.t.Helper()
	doc := marshal(w.t, w.request())
	_, receipt, err := w.verifier.CheckRequest(w.t.Context(), doc, w.ask(doc, nil), w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	return doc, receipt
}

// approved is an approval that the agent took.
func (w *world) approved(requestDoc []byte, engineer grant.Receipt, grantDoc []byte, who person) grant.Receipt {
	w.t.Helper()
	_, receipt, err := w.verifier.CheckApproval(w.t.Context(), requestDoc, engineer, grantDoc, w.approve(grantDoc, engineer, who, nil), w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	return receipt
}

// refusedAs checks that err is one plain sentence of the right kind with a way on.
func refusedAs(t testing.TB, err error, kind session.Kind) {
	t.Helper()
	var e *session.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a %s error", err, kind)
	}
	if e.Kind != kind {
		t.Errorf("kind %s, want %s: %v", e.Kind, kind, err)
	}
	if e.Message == "" || e.Next == "" || !strings.HasSuffix(e.Message, ".") || strings.Contains(e.Message, "\n") {
		t.Errorf("not one plain sentence with a way on: %q, %q", e.Message, e.Next)
	}
}
