package agent

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/idtoken"
	"github.com/sallyport/sallyport/session/link"
)

var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// site is a hospital whose agent takes deliveries, two identity providers and a clock. CT wants one
// approver, MR one of each of two groups; one session of an engineer on each.
type site struct {
	url, agent string
	now        time.Time
	policy     grant.Policy
	keys       *idtoken.KeySets
	verifier   *grant.Verifier
}

// groupsOf is what people's tokens say.
var groupsOf = map[string][]string{
	"eva": {session.GroupEngineers}, "ed": {session.GroupEngineers},
	"anna": {session.GroupApprovers, "it"}, "bernd": {session.GroupApprovers, "modality"},
	"carl": {session.GroupApprovers, "it", "modality"}, "dora": {session.GroupApprovers}, "mallory": {"it", "modality"},
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{now: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Date"] = nil
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{jose.JSONWebKey{Key: testKey().Public(), KeyID: "k1", Use: "sig"}}})
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	s.agent = session.Fingerprint(ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey))
	pin := func(side session.Side, client string, class session.ClientClass) session.Issuer {
		return session.Issuer{URL: s.url + "/" + string(side), Side: side, InsecureLoopback: true, JWKS: s.url + "/keys",
			Clients: map[string]session.ClientClass{client: class}}
	}
	issuers := []session.Issuer{pin(session.VendorSide, "cli", session.CLI), pin(session.HospitalSide, "console", session.Console)}
	keys, err := idtoken.NewKeySets(issuers, nil)
	must(t, err)
	services := []session.Service{{Name: "ssh", Protocol: session.SSH, Class: session.Disruptive}}
	s.keys, s.policy = keys, grant.Policy{Site: "NGH", Agent: s.agent, Issuers: issuers, Assets: map[string]session.Asset{
		"CT": {Name: "CT", Services: services},
		"MR": {Name: "MR", Services: services, Policy: session.Policy{Quorum: []session.Quorum{{Group: "it", Count: 1}, {Group: "modality", Count: 1}}}},
	}}
	s.verifier, err = grant.NewVerifier(s.policy, keys)
	must(t, err)
	return s
}

// deliveries opens a ledger in dir and takes deliveries for it.
func (s *site) deliveries(t fataler, dir string) *deliveries {
	l, err := ledger.Open(dir)
	if err != nil {
		t.Fatalf("%v", err)
	}
	l.LimitSessions(ledger.Limits{Asset: func(string) int { return 1 }})
	log, err := openCheckpoints(state{dir}, func() time.Time { return s.now }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("%v", err)
	}
	d := &deliveries{verifier: s.verifier, ledger: l, checkpoints: log, now: func() time.Time { return s.now }, log: slog.New(slog.DiscardHandler),
		changed: func(session.ID) {}, extend: func(session.ID, time.Time) bool { return true }}
	d.live = paper{d}
	return d
}

// paper is sessions that live in the ledger alone.
type paper struct{ d *deliveries }

func (p paper) End(id session.ID, reason session.EndReason, _ string) error {
	return p.d.ledger.End(id, reason, p.d.now())
}

func (p paper) EndWhere(covers func(string, session.Person) bool, reason session.EndReason, by string) (ended []session.ID, err error) {
	for _, e := range p.d.ledger.Entries(p.d.now()) {
		if covers(e.Asset, e.Engineer) && !e.Facts.Session.Opened.IsZero() && e.Status == session.Approved {
			ended = append(ended, e.Session)
			err = p.End(e.Session, reason, by)
		}
	}
	return ended, err
}

func (p paper) causes(id session.ID) []string {
	for _, e := range p.d.ledger.Entries(p.d.now()) {
		if e.Session == id {
			return e.Frozen
		}
	}
	return nil
}

func (p paper) Freeze(id session.ID, cause, _ string) ([]string, error) {
	causes := append(slices.DeleteFunc(p.causes(id), func(c string) bool { return c == cause }), cause)
	return causes, p.d.ledger.Freeze(id, causes, p.d.now())
}

func (p paper) Thaw(id session.ID, cause, _ string) ([]string, error) {
	causes := slices.DeleteFunc(p.causes(id), func(c string) bool { return c == cause })
	return causes, p.d.ledger.Freeze(id, causes, p.d.now())
}

func (s *site) engineer(sub string) session.Identity {
	return session.Identity{Iss: s.url + "/vendor", Sub: sub}
}

// proof signs somebody in for a nonce.
func (s *site) proof(side, sub string, nonce func(salt [32]byte) string) (token string, salt []byte) {
	fresh := grant.NewSalt()
	client := map[string]string{"vendor": "cli", "hospital": "console"}[side]
	now := s.now.Unix()
	payload, _ := json.Marshal(map[string]any{"iss": s.url + "/" + side, "aud": client, "sub": sub, "nonce": nonce(fresh),
		"groups": groupsOf[sub], "iat": now, "exp": now + 300, "auth_time": now})
	input := b64([]byte(`{"alg":"RS256","kid":"k1"}`)) + "." + b64(payload)
	digest := sha256.Sum256([]byte(input))
	sig, err := rsa.SignPKCS1v15(nil, testKey(), crypto.SHA256, digest[:])
	if err != nil {
		panic(err)
	}
	return input + "." + b64(sig), fresh[:]
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// request is a delivery of a request, signed by somebody.
func (s *site) request(t fataler, r grant.Request, who string) link.Deliver {
	doc, err := r.Marshal()
	if err != nil {
		t.Fatalf("%v", err)
	}
	token, salt := s.proof("vendor", who, func(salt [32]byte) string { return grant.RequestNonce(doc, salt) })
	return link.Deliver{Kind: "request", Request: doc, Token: token, Salt: salt}
}

func (s *site) approval(req link.Deliver, grantDoc []byte, who string) link.Deliver {
	token, salt := s.proof("hospital", who, func(salt [32]byte) string { return grant.ApproveNonce(grantDoc, req.Token, salt) })
	return link.Deliver{Kind: "approval", Request: req.Request, Grant: grantDoc, Token: token, Salt: salt}
}

func (s *site) activation(id session.ID, grantDoc []byte, key, who string) link.Deliver {
	token, salt := s.proof("vendor", who, func(salt [32]byte) string { return grant.ActivateNonce(grantDoc, key, salt) })
	return link.Deliver{Kind: "activate", ID: id.Session(), Key: key, Token: token, Salt: salt}
}

// grantOf is all that a request asks for.
func (s *site) grantOf(t fataler, r grant.Request, doc []byte) (session.ID, []byte) {
	g := grant.NewGrant()
	qh := grant.RequestHash(doc)
	g.Req, g.Site, g.Agent, g.Asset = hex.EncodeToString(qh[:]), r.Site, s.agent, r.Asset
	g.Services, g.Class, g.Channels, g.NBF, g.EXP, g.MaxS = r.Services, r.Class, r.Channels, r.NBF, r.EXP, r.MaxS
	out, err := g.Marshal()
	if err != nil {
		t.Fatalf("%v", err)
	}
	return idOf(g.GID), out
}

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

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// quickDir is a directory where a sync costs nothing, if there is one.
func quickDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "deliveries")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
