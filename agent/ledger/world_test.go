package ledger_test

import (
	ctx "context"
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
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/idtoken"
	"github.com/sallyport/sallyport/session/passkey"
	"github.com/sallyport/sallyport/session/passkey/passkeytest"
)

var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// site makes verified documents; the ledger under test gets nothing else.
type site struct {
	now      time.Time
	url      string
	agent    string
	verifier *grant.Verifier
	keys     ring
}

// ring is who registered which passkey.
type ring map[string]grant.Registered

func (r ring) Find(id []byte) (grant.Registered, bool) {
	k, ok := r[string(id)]
	return k, ok
}

const console = "https://console.ngh.example:8443"

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{now: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), keys: ring{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Date"] = nil
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{
			jose.JSONWebKey{Key: testKey().Public(), KeyID: "k1", Use: "sig"},
		}})
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	s.agent = session.Fingerprint(ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey))
	pin := func(side session.Side, client string, class session.ClientClass) session.Issuer {
		return session.Issuer{URL: s.url + "/" + string(side), Side: side, InsecureLoopback: true, JWKS: s.url + "/keys",
			Clients: map[string]session.ClientClass{client: class}}
	}
	issuers := []session.Issuer{pin(session.VendorSide, "cli", session.CLI), pin(session.HospitalSide, "console", session.Console)}
	for _, name := range []string{"/north", "/south"} { // other vendors
		other := pin(session.VendorSide, "cli", session.CLI)
		other.URL = s.url + name
		issuers = append(issuers, other)
	}
	keys, err := idtoken.NewKeySets(issuers, nil)
	if err != nil {
		t.Fatal(err)
	}
	assets := map[string]session.Asset{}
	for name, approvals := range map[string]int{"PETCT1": 1, "MR2": 2, "CT3": 1} {
		count := session.KeysInstead
		if name == "CT3" {
			count = session.KeysBoth
		}
		assets[name] = session.Asset{
			Name: name, Policy: session.Policy{Approvals: approvals, Critical: 15 * time.Minute, ConsoleKeys: count},
			Services: []session.Service{{Name: "recon-ssh", Protocol: session.SSH, Class: session.Disruptive}, {Name: "vnc", Protocol: session.SSH, Class: session.Disruptive}},
		}
	}
	page, err := passkey.At(console)
	if err != nil {
		t.Fatal(err)
	}
	s.verifier, err = grant.NewVerifier(grant.Policy{Site: "NGH", Agent: s.agent, Issuers: issuers, Assets: assets, Keyring: s.keys, Page: page}, keys)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asked is a request with its engineer's receipt.
type asked struct {
	id      session.ID
	doc     []byte
	request grant.Request
	receipt grant.Receipt
}

func (s *site) ask(t fataler, change func(*grant.Request)) asked {
	r := grant.NewRequest()
	r.Site, r.Asset, r.Services, r.Class = "NGH", "PETCT1", []string{"recon-ssh", "vnc"}, session.Observe
	r.Channels = []session.Channel{session.Exec, session.Shell}
	r.NBF, r.EXP, r.MaxS = s.now.Unix(), s.now.Unix()+4*3600, 1800
	r.Eng = session.Identity{Iss: s.url + "/vendor", Sub: "eva"}
	r.Key = newKey()
	if change != nil {
		change(&r)
	}
	doc, err := r.Marshal()
	if err != nil {
		t.Fatalf("%v", err)
	}
	return s.deliver(t, doc)
}

// deliver mints a token for a request and has both checked.
func (s *site) deliver(t fataler, doc []byte) asked {
	salt := grant.NewSalt()
	asks, err := grant.ParseRequest(doc)
	if err != nil {
		t.Fatalf("%v", err)
	}
	token := s.token(asks.Eng.Iss, "cli", grant.RequestNonce(doc, salt), asks.Eng.Sub, session.GroupEngineers)
	r, receipt, err := s.verifier.CheckRequest(ctx.Background(), doc, grant.Proof{Token: token, Salt: salt[:]}, s.now)
	if err != nil {
		t.Fatalf("%v", err)
	}
	id, _ := session.ParseText(r.RID)
	return asked{id: id, doc: doc, request: r, receipt: receipt}
}

func (s *site) grant(t fataler, a asked, change func(*grant.Grant)) []byte {
	g := grant.NewGrant()
	qh := grant.RequestHash(a.doc)
	r := a.request
	g.Req, g.Site, g.Agent, g.Asset = hex.EncodeToString(qh[:]), r.Site, s.agent, r.Asset
	g.Services, g.Class, g.Channels, g.NBF, g.EXP, g.MaxS = r.Services, r.Class, r.Channels, r.NBF, r.EXP, r.MaxS
	g.Crit = r.Crit
	if change != nil {
		change(&g)
	}
	doc, err := g.Marshal()
	if err != nil {
		t.Fatalf("%v", err)
	}
	return doc
}

func (s *site) approve(t fataler, a asked, grantDoc []byte, who string) grant.Receipt {
	salt := grant.NewSalt()
	nonce := grant.ApproveNonce(grantDoc, a.receipt.Proof.Token, salt)
	proof := grant.Proof{Token: s.token(s.url+"/hospital", "console", nonce, who, session.GroupApprovers), Salt: salt[:]}
	_, receipt, err := s.verifier.CheckApproval(ctx.Background(), a.doc, a.receipt, grantDoc, proof, s.now)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return receipt
}

// press approves by a passkey that somebody has registered.
func (s *site) press(t fataler, a asked, grantDoc []byte, who string) grant.Receipt {
	page, err := passkey.At(console)
	if err != nil {
		t.Fatalf("%v", err)
	}
	d := passkeytest.New(page.Host(), console)
	challenge := grant.NewSalt()
	client, attested := d.Register(challenge)
	key, err := page.Register(challenge, client, attested)
	if err != nil {
		t.Fatalf("%v", err)
	}
	s.keys[string(key.ID)] = grant.Registered{Key: key, Groups: []string{session.GroupApprovers}, Since: s.now,
		Person: session.Person{Identity: session.Identity{Iss: s.url + "/hospital", Sub: who}}}
	_, receipt, err := s.verifier.CheckPasskey(a.doc, a.receipt, grantDoc, d.Answer(passkey.Challenge(grantDoc)), s.now)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return receipt
}

func (s *site) verify(t fataler, a asked, grantDoc []byte, approvals ...grant.Receipt) grant.Verified {
	v, err := s.verifier.Verify(a.doc, a.receipt, grantDoc, approvals, s.now)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return v
}

// granted is a request, pended, approved by anna and verified.
func (s *site) granted(t fataler, l *ledger.Ledger, change func(*grant.Request)) (asked, grant.Verified) {
	a := s.ask(t, change)
	if err := l.Pend(a.doc, a.receipt); err != nil {
		t.Fatalf("%v", err)
	}
	g := s.grant(t, a, nil)
	approvals, err := l.AddApproval(a.id, g, s.approve(t, a, g, "anna"))
	if err != nil {
		t.Fatalf("%v", err)
	}
	return a, s.verify(t, a, g, approvals...)
}

func (s *site) admitted(t fataler, l *ledger.Ledger) (asked, ledger.Ticket) {
	a, v := s.granted(t, l, nil)
	ticket, err := l.Admit(v, s.now)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return a, ticket
}

func (s *site) token(iss, aud, nonce, sub, group string) string {
	now := s.now.Unix()
	payload, _ := json.Marshal(map[string]any{
		"iss": iss, "aud": aud, "sub": sub, "nonce": nonce, "groups": group,
		"iat": now, "exp": now + 300, "auth_time": now,
	})
	input := b64([]byte(`{"alg":"RS256","kid":"k1"}`)) + "." + b64(payload)
	digest := sha256.Sum256([]byte(input))
	sig, err := rsa.SignPKCS1v15(nil, testKey(), crypto.SHA256, digest[:])
	if err != nil {
		panic(err)
	}
	return input + "." + b64(sig)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func newKey() string {
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return session.KeyLine(pub)
}

// fataler is what tests and properties have in common.
type fataler interface {
	Fatalf(format string, args ...any)
}

func open(t testing.TB, dir string) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// opened is a ledger that is closed with its test.
func opened(t testing.TB) (*ledger.Ledger, string) {
	t.Helper()
	dir := t.TempDir()
	l := open(t, dir)
	t.Cleanup(func() { _ = l.Close() })
	return l, dir
}

// quickDir is a directory where a sync costs nothing, if there is one.
func quickDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "ledger")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// reopen is a restart of the agent.
func reopen(t testing.TB, l *ledger.Ledger, dir string) *ledger.Ledger {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir)
	t.Cleanup(func() { _ = again.Close() })
	return again
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
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
