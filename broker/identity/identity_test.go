package identity_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/broker/identity"
	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/broker/store/storetest"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	brokerURL = "https://broker.example"
	vendor    = "https://vendor.example"
	hospital  = "https://hospital.example"
)

var start = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// world is a broker's door with a verifier that polices what it is asked.
type world struct {
	*identity.Identity
	t      *testing.T
	redis  *miniredis.Miniredis
	store  *store.Store
	tokens *tokens
	now    *atomic.Int64
	cfg    identity.Config
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, redis: miniredis.RunT(t), now: new(atomic.Int64)}
	w.now.Store(start.UnixNano())
	url := "redis://" + w.redis.Addr()
	t.Cleanup(func() { storetest.Described(t, url) })
	s, err := store.Open(t.Context(), store.Config{URL: url, Ephemeral: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w.store, w.tokens = s, &tokens{t: t}
	w.cfg = identity.Config{
		BrokerURL: brokerURL, Tokens: w.tokens, Sessions: s, Attempts: s, Nonce: nonce, Now: w.clock,
		Issuers: []identity.Issuer{
			{Issuer: session.Issuer{URL: vendor, Side: session.VendorSide, Login: "sallyport-cli"}, Sites: []string{identity.AnySite}},
			{Issuer: session.Issuer{URL: hospital, Side: session.HospitalSide, Login: "sallyport-cli"}, Sites: []string{"NGH"}},
		},
	}
	w.reopen()
	return w
}

func (w *world) reopen() {
	d, err := identity.New(w.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.Identity = d
}

func (w *world) clock() time.Time        { return time.Unix(0, w.now.Load()) }
func (w *world) advance(d time.Duration) { w.now.Add(int64(d)); w.redis.FastForward(d) }

// nonce is the formula of the login nonce, written out a second time.
func nonce(subject, extra, salt [32]byte) string {
	h := sha256.New()
	fmt.Fprint(h, "sallyport/v1/login\x00")
	for _, part := range [][32]byte{subject, extra, salt} {
		h.Write(part[:])
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// token is what a test issuer says; "sig" stands for its signature.
type token struct {
	Iss     string   `json:"iss"`
	Sub     string   `json:"sub"`
	Aud     string   `json:"aud"`
	Nonce   string   `json:"nonce"`
	Groups  []string `json:"groups"`
	Overage bool     `json:"overage"`
	Iat     int64    `json:"iat"`
	Exp     int64    `json:"exp"`
	Email   string   `json:"email"`
}

func (k token) compact() string {
	b, _ := json.Marshal(k)
	return "e30." + base64.RawURLEncoding.EncodeToString(b) + ".sig"
}

// tokens verifies test tokens against Expect, and fails the test when it is asked
// to check too little.
type tokens struct {
	t     *testing.T
	calls atomic.Int32
	lie   func(*idtoken.Claims)
	down  bool
	no    error
}

func (v *tokens) Verify(_ context.Context, issuer, compact string, e idtoken.Expect) (idtoken.Claims, error) {
	v.calls.Add(1)
	if e.Issuer != issuer || len(e.Clients) != 1 || len(e.Nonce) != 43 || e.At.IsZero() || e.MaxAge <= 0 || e.MaxAge > 15*time.Minute {
		v.t.Errorf("asked to check too little: %+v", e)
	}
	if v.down {
		return idtoken.Claims{}, session.Errorf(session.Unreachable, "no keys")
	}
	if v.no != nil {
		return idtoken.Claims{}, v.no
	}
	parts := strings.Split(compact, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	var k token
	if err != nil || json.Unmarshal(payload, &k) != nil || parts[2] != "sig" {
		return idtoken.Claims{}, errors.New("bad signature")
	}
	switch {
	case k.Iss != issuer, k.Aud != e.Clients[0], k.Nonce != e.Nonce, k.Sub == "",
		time.Unix(k.Exp, 0).Before(e.At), e.At.Sub(time.Unix(k.Iat, 0)) > e.MaxAge:
		return idtoken.Claims{}, errors.New("wrong claim")
	}
	c := idtoken.Claims{Person: session.Person{Identity: session.Identity{Iss: k.Iss, Sub: k.Sub}, Email: k.Email},
		Client: k.Aud, Groups: k.Groups, Overage: k.Overage, IssuedAt: time.Unix(k.Iat, 0), Expires: time.Unix(k.Exp, 0)}
	if v.lie != nil {
		v.lie(&c)
	}
	return c, nil
}

// person is somebody with a session key.
type person struct {
	key  ed25519.PrivateKey
	salt [32]byte
	token
}

func somebody(iss, sub string, at time.Time, groups ...string) *person {
	p := &person{salt: sha256.Sum256([]byte(sub + at.String()))}
	p.key = ed25519.NewKeyFromSeed(p.salt[:])
	p.token = token{Iss: iss, Sub: sub, Aud: "sallyport-cli", Groups: groups, Email: sub + "@example",
		Iat: at.Unix(), Exp: at.Add(time.Hour).Unix(), Nonce: p.nonceFor(brokerURL)}
	return p
}

func (p *person) line() string { return session.KeyLine(p.key.Public().(ed25519.PublicKey)) }

func (p *person) nonceFor(url string) string {
	return nonce(sha256.Sum256([]byte(url)), sha256.Sum256([]byte(p.line())), p.salt)
}

func (p *person) attempt() identity.Attempt {
	compact := p.compact()
	return identity.Attempt{IDToken: compact, Salt: p.salt[:], Key: p.line(), Address: "192.0.2.1",
		Signature: ed25519.Sign(p.key, identity.ProofMessage(compact))}
}

func engineer(w *world) *person {
	return somebody(vendor, "ada", w.clock(), session.GroupEngineers)
}

// Everything that must not sign in, and that nothing of it stays behind.
func TestNobodySignsInWith(t *testing.T) {
	type step = func(*person, *identity.Attempt, *tokens)
	claim := func(change func(*token)) step {
		return func(p *person, a *identity.Attempt, _ *tokens) {
			change(&p.token)
			*a = p.attempt()
		}
	}
	asked := func(change func(*identity.Attempt)) step {
		return func(_ *person, a *identity.Attempt, _ *tokens) { change(a) }
	}
	lie := func(change func(*idtoken.Claims)) step {
		return func(_ *person, _ *identity.Attempt, v *tokens) { v.lie = change }
	}
	other := somebody(vendor, "eve", start, session.GroupEngineers)
	for name, spoil := range map[string]step{
		"a nonce for another broker": func(p *person, a *identity.Attempt, _ *tokens) {
			p.Nonce = p.nonceFor("https://evil.example")
			*a = p.attempt()
		},
		"a nonce for the URL with a /": func(p *person, a *identity.Attempt, _ *tokens) {
			p.Nonce = p.nonceFor(brokerURL + "/")
			*a = p.attempt()
		},
		"no nonce":                     claim(func(k *token) { k.Nonce = "" }),
		"another client's token":       claim(func(k *token) { k.Aud = "sallyport-console" }),
		"the web client's token":       claim(func(k *token) { k.Aud = "sallyport-web" }),
		"another issuer's name":        claim(func(k *token) { k.Iss = hospital }),
		"an unknown issuer":            claim(func(k *token) { k.Iss = "https://evil.example" }),
		"an issuer with a slash":       claim(func(k *token) { k.Iss = vendor + "/" }),
		"an issuer in capitals":        claim(func(k *token) { k.Iss = strings.ToUpper(vendor) }),
		"no issuer":                    claim(func(k *token) { k.Iss = "" }),
		"no subject":                   claim(func(k *token) { k.Sub = "" }),
		"a token of yesterday":         claim(func(k *token) { k.Iat -= 86400 }),
		"a token that is over":         claim(func(k *token) { k.Exp = k.Iat - 300 }),
		"no groups":                    claim(func(k *token) { k.Groups = nil }),
		"groups of the other side":     claim(func(k *token) { k.Groups = []string{session.GroupApprovers, session.GroupAuditors} }),
		"groups spelt otherwise":       claim(func(k *token) { k.Groups = []string{"Field-Service", "field-service ", "engineer"} }),
		"too many groups to be listed": claim(func(k *token) { k.Overage, k.Groups = true, []string{"others"} }),
		"a hospital's engineer":        claim(func(k *token) { k.Iss = hospital }),
		"a broken signature":           asked(func(a *identity.Attempt) { a.IDToken = strings.TrimSuffix(a.IDToken, "sig") + "gis" }),
		"two parts":                    asked(func(a *identity.Attempt) { a.IDToken = "e30.e30" }),
		"four parts":                   asked(func(a *identity.Attempt) { a.IDToken += ".x" }),
		"an empty token":               asked(func(a *identity.Attempt) { a.IDToken = "" }),
		"a mebibyte of dots":           asked(func(a *identity.Attempt) { a.IDToken = strings.Repeat(".", 1<<20) }),
		"no salt":                      asked(func(a *identity.Attempt) { a.Salt = nil }),
		"a short salt":                 asked(func(a *identity.Attempt) { a.Salt = a.Salt[:31] }),
		"another salt":                 asked(func(a *identity.Attempt) { a.Salt = bytes32(7) }),
		"no key":                       asked(func(a *identity.Attempt) { a.Key = "" }),
		"a key with a comment":         asked(func(a *identity.Attempt) { a.Key += " me@home" }),
		"somebody else's key":          asked(func(a *identity.Attempt) { a.Key = other.line() }),
		"no proof":                     asked(func(a *identity.Attempt) { a.Signature = nil }),
		"a proof by another key":       asked(func(a *identity.Attempt) { a.Signature = ed25519.Sign(other.key, identity.ProofMessage(a.IDToken)) }),
		"a proof for another token": func(p *person, a *identity.Attempt, _ *tokens) {
			a.Signature = ed25519.Sign(p.key, identity.ProofMessage(other.compact()))
		},
		"a proof over the token itself": func(p *person, a *identity.Attempt, _ *tokens) { a.Signature = ed25519.Sign(p.key, []byte(a.IDToken)) },
		"a thief with his own key": func(_ *person, a *identity.Attempt, _ *tokens) {
			a.Key, a.Signature = other.line(), ed25519.Sign(other.key, identity.ProofMessage(a.IDToken))
		},
		"a verifier that mixes up issuers":    lie(func(c *idtoken.Claims) { c.Iss = hospital }),
		"a verifier that mixes up clients":    lie(func(c *idtoken.Claims) { c.Client = "sallyport-console" }),
		"a verifier that forgets the subject": lie(func(c *idtoken.Claims) { c.Sub = "" }),
		"a verifier that forgets the time":    lie(func(c *idtoken.Claims) { c.Expires = start.Add(-idtoken.Leeway - time.Second) }),
		"a verifier that takes the future":    lie(func(c *idtoken.Claims) { c.IssuedAt = start.Add(idtoken.Leeway + time.Second) }),
		"a verifier that takes old tokens":    lie(func(c *idtoken.Claims) { c.IssuedAt = start.Add(-time.Hour) }),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			p := engineer(w)
			a := p.attempt()
			spoil(p, &a, w.tokens)
			g, err := w.Login(t.Context(), a)
			var e *session.Error
			if !errors.As(err, &e) || (e.Kind != session.Denied && e.Kind != session.Invalid) || g.Token != "" {
				t.Fatalf("Login = %+v, %v", g, err)
			}
			if e.Next == "" || strings.ContainsAny(e.Message, "\n{") || !strings.HasSuffix(e.Message, ".") {
				t.Errorf("the sentence is %q, next %q", e.Message, e.Next)
			}
			for _, kind := range []string{"login", "login-token"} {
				for _, key := range w.redis.Keys() {
					if strings.Contains(key, "{"+kind+"}") {
						t.Errorf("%s stayed behind", key)
					}
				}
			}
		})
	}
}

func TestSignIn(t *testing.T) {
	for _, c := range []struct {
		p     func(*world) *person
		side  session.Side
		roles []session.Role
		ngh   bool
		other bool
	}{
		{engineer, session.VendorSide, []session.Role{session.Engineer}, true, true},
		{func(w *world) *person {
			return somebody(hospital, "ben", w.clock(), session.GroupApprovers, session.GroupEngineers)
		},
			session.HospitalSide, []session.Role{session.Approver}, true, false},
		{func(w *world) *person {
			return somebody(hospital, "cy", w.clock(), session.GroupAuditors, session.GroupApprovers)
		},
			session.HospitalSide, []session.Role{session.Approver, session.Auditor}, true, false},
	} {
		w := newWorld(t)
		g, err := w.Login(t.Context(), c.p(w).attempt())
		if err != nil {
			t.Fatal(err)
		}
		who, err := w.Authenticate(t.Context(), g.Token)
		if err != nil {
			t.Fatal(err)
		}
		if who.Side != c.side || !slices.Equal(who.Roles, c.roles) || who.At("NGH") != c.ngh || who.At("XYZ") != c.other ||
			who.Sub == "" || who.Client != "sallyport-cli" || !who.Expires.Equal(start.Add(identity.DefaultAbsolute)) {
			t.Errorf("signed in as %+v", who)
		}
		for _, key := range w.redis.Keys() {
			if strings.Contains(key, g.Token) || strings.Contains(w.redis.Dump(), g.Token) {
				t.Fatal("the store knows the bearer token")
			}
		}
	}
}

func TestATokenSignsInOnce(t *testing.T) {
	w := newWorld(t)
	a := engineer(w).attempt()
	var in, all = atomic.Int32{}, sync.WaitGroup{}
	for i := range 8 {
		all.Go(func() {
			a := a
			a.Address = fmt.Sprintf("192.0.2.%d", i)
			if _, err := w.Login(t.Context(), a); err == nil {
				in.Add(1)
			}
		})
	}
	all.Wait()
	if in.Load() != 1 {
		t.Fatalf("one token signed in %d times", in.Load())
	}
	for _, later := range []time.Duration{2 * time.Minute, 10 * time.Minute} {
		w.advance(later)
		if _, err := w.Login(t.Context(), a); !errors.Is(err, identity.ErrNotSignedIn) {
			t.Fatalf("after %v: %v", later, err)
		}
	}
}

// A hospital behind one address: whoever fails on purpose there, or in the network beside
// it, keeps nobody from signing in who can.
func TestAStrangerLocksNobodyOut(t *testing.T) {
	w, b := newWorld(t), &book{}
	w.cfg.Audit = b
	w.reopen()
	const tries = 1000
	for i := range tries {
		a := engineer(w).attempt()
		a.Signature = nil
		if i%2 == 0 {
			a = identity.Attempt{IDToken: "x", Address: a.Address}
		}
		if _, err := w.Login(t.Context(), a); session.KindOf(err) != session.Denied && session.KindOf(err) != session.Invalid {
			t.Fatalf("attempt %d: %v", i+1, err)
		}
	}
	if n := len(b.kinds()); n != 2 {
		t.Errorf("%d malformed sign-ins left %d entries", tries, n)
	}
	for i := range 200 { // a change of shift
		if _, err := w.Login(t.Context(), somebody(vendor, fmt.Sprint("p", i), w.clock(), session.GroupEngineers).attempt()); err != nil {
			t.Fatalf("person %d behind the same address: %v", i+1, err)
		}
	}
	b.events = nil
	w.advance(10*time.Minute - time.Second)
	w.WriteRefusals(t.Context(), false)
	if len(b.events) != 0 {
		t.Errorf("written too soon: %+v", b.events)
	}
	w.advance(time.Second)
	w.WriteRefusals(t.Context(), false)
	w.WriteRefusals(t.Context(), true)
	counted := 0
	for _, e := range b.events {
		n, _ := strconv.Atoi(e.Details["count"])
		counted += n
	}
	if len(b.events) != 2 || counted != tries-2 {
		t.Errorf("what was not written down is not counted: %+v", b.events)
	}
	t.Logf("ATTACK | %d malformed sign-ins in a minute from a hospital's address | everybody there signs in; an entry of each issuer that is named, at once and after 10 minutes | 200 of 200 signed in; 4 entries, which count %d | holds", tries, counted+2)
}

// However many networks and accounts somebody uses, entries and memory have a bound, and
// every refusal is counted in one.
func TestRefusalsOfManyNetworksHaveABound(t *testing.T) {
	w, b := newWorld(t), &book{}
	w.cfg.Audit = b
	w.reopen()
	const tries = 5000
	for i := range tries {
		_, _ = w.Login(t.Context(), identity.Attempt{IDToken: "x", Address: fmt.Sprintf("2001:db8:%x:%x::1", i/1000, i%1000)})
	}
	if n := len(b.events); n != 601 {
		t.Errorf("%d networks left %d entries", tries, n)
	}
	w.WriteRefusals(t.Context(), true)
	last := b.events[len(b.events)-1]
	if n := len(b.events); n != 602 || last.Details["count"] != fmt.Sprint(tries-601) || last.Details["network"] != "others" {
		t.Errorf("%d entries, the last %+v", n, last)
	}
	b.events = nil
	w.advance(11 * time.Minute)
	w.WriteRefusals(t.Context(), false)
	for i := range 30 { // one network has a share, of the accounts that providers know
		a := somebody(hospital, fmt.Sprint("visitor", i), w.clock(), "visitors").attempt()
		if _, err := w.Login(t.Context(), a); session.KindOf(err) != session.Denied {
			t.Fatal(err)
		}
	}
	w.WriteRefusals(t.Context(), true)
	if n := len(b.events); n != 12 || b.events[0].Details["account"] != "visitor0" || b.events[11].Details["count"] != "19" || b.events[11].Details["account"] != "" {
		t.Errorf("%d entries: %+v", n, b.events[n-1])
	}
}

// What the log does not take is counted until it does.
func TestRefusalsAreNotLostWithTheLog(t *testing.T) {
	w, b := newWorld(t), &book{}
	w.cfg.Audit = b
	w.reopen()
	try := func() error {
		_, err := w.Login(t.Context(), identity.Attempt{IDToken: "x", Address: "192.0.2.1"})
		return err
	}
	b.full = true
	if err := try(); session.KindOf(err) != session.Internal {
		t.Errorf("refused without a log: %v", err)
	}
	w.advance(time.Minute)
	b.full = false
	if err := try(); session.KindOf(err) != session.Invalid || len(b.events) != 1 || b.events[0].Details["count"] != "2" {
		t.Errorf("%v, %+v", err, b.events)
	}
	began := w.clock()
	for range 3 {
		_ = try()
		w.advance(time.Minute)
	}
	b.full = true
	w.WriteRefusals(t.Context(), true)
	b.full = false
	w.WriteRefusals(t.Context(), true)
	e := b.events[len(b.events)-1].Details
	if len(b.events) != 2 || e["count"] != "3" || e["first"] != began.UTC().Format(time.RFC3339) || e["last"] != began.Add(2*time.Minute).UTC().Format(time.RFC3339) || e["network"] != "192.0.2.0/24" {
		t.Errorf("%+v", b.events)
	}
}

func TestSignInsAreLimited(t *testing.T) {
	login := func(w *world, i int, address string, groups ...string) error {
		a := somebody(vendor, "ada", w.clock().Add(time.Duration(i)*time.Second), groups...).attempt()
		a.Address = address
		_, err := w.Login(t.Context(), a)
		return err
	}
	t.Run("of a person", func(t *testing.T) {
		w := newWorld(t)
		for i := range 22 {
			if over := session.KindOf(login(w, i, fmt.Sprintf("192.0.2.%d", i), session.GroupEngineers)) == session.Refused; over != (i >= 20) {
				t.Fatalf("login %d: %v", i+1, over)
			}
		}
		w.advance(61 * time.Second)
		if err := login(w, 99, "192.0.2.1", session.GroupEngineers); err != nil {
			t.Errorf("a minute later: %v", err)
		}
	})
	t.Run("of a person who may not", func(t *testing.T) {
		w := newWorld(t)
		for i := range 7 {
			if over := errors.Is(login(w, i, "192.0.2.1"), identity.ErrTooOften); over != (i >= 5) {
				t.Fatalf("refusal %d: %v", i+1, over)
			}
		}
		if err := login(w, 9, "192.0.2.1", session.GroupEngineers); err != nil {
			t.Errorf("failures count as successes: %v", err)
		}
	})
	t.Run("of a network", func(t *testing.T) {
		w := newWorld(t)
		let := 0
		for i := range 310 {
			a := somebody(vendor, fmt.Sprint("p", i), w.clock(), session.GroupEngineers).attempt()
			a.Address = fmt.Sprintf("192.0.2.%d", i%256)
			if _, err := w.Login(t.Context(), a); err == nil {
				let++
			}
		}
		if let != 300 {
			t.Errorf("%d of one network signed in", let)
		}
		if err := login(w, 0, "198.51.100.1", session.GroupEngineers); err != nil {
			t.Errorf("another network: %v", err)
		}
	})
}

func TestALoginEnds(t *testing.T) {
	login := func(t *testing.T) (*world, string) {
		w := newWorld(t)
		g, err := w.Login(t.Context(), engineer(w).attempt())
		if err != nil {
			t.Fatal(err)
		}
		return w, g.Token
	}
	gone := func(t *testing.T, w *world, token string) {
		t.Helper()
		if who, err := w.Authenticate(t.Context(), token); !errors.Is(err, identity.ErrNotSignedIn) || who.Sub != "" {
			t.Errorf("Authenticate = %+v, %v", who, err)
		}
	}
	here := func(t *testing.T, w *world, token string) {
		t.Helper()
		if _, err := w.Authenticate(t.Context(), token); err != nil {
			t.Errorf("Authenticate = %v", err)
		}
	}
	t.Run("when idle", func(t *testing.T) {
		w, token := login(t)
		w.advance(identity.DefaultIdle - time.Second)
		here(t, w, token)
		w.advance(2 * time.Second)
		here(t, w, token)
		w.now.Add(int64(identity.DefaultIdle)) // only our clock: the store still has it
		gone(t, w, token)
	})
	t.Run("after its absolute time", func(t *testing.T) {
		w, token := login(t)
		for range 11 {
			w.advance(time.Hour)
			here(t, w, token)
		}
		w.now.Add(int64(time.Hour))
		gone(t, w, token)
	})
	t.Run("at logout", func(t *testing.T) {
		w, token := login(t)
		if err := errors.Join(w.Logout(t.Context(), token), w.Logout(t.Context(), token)); err != nil {
			t.Fatal(err)
		}
		gone(t, w, token)
	})
	t.Run("when the issuer goes", func(t *testing.T) {
		w, token := login(t)
		w.cfg.Issuers = w.cfg.Issuers[1:]
		w.reopen()
		gone(t, w, token)
	})
	t.Run("for a bearer that is not one", func(t *testing.T) {
		w, token := login(t)
		for _, bad := range []string{"", " ", token + "=", token[:42], token + "A", strings.ToLower(token), strings.Repeat("A", 43), "a\x00b", strings.Repeat("A", 1<<16)} {
			gone(t, w, bad)
		}
		here(t, w, token)
	})
	t.Run("and follows the configuration while it lasts", func(t *testing.T) {
		w, token := login(t)
		w.cfg.Issuers[0].Sites = []string{"XYZ"}
		w.reopen()
		if who, err := w.Authenticate(t.Context(), token); err != nil || who.At("NGH") || !who.At("XYZ") {
			t.Errorf("Authenticate = %+v, %v", who, err)
		}
	})
}

// Looking at a login keeps nobody signed in; using it does.
func TestLookingIsNotUsing(t *testing.T) {
	const idle = 15 * time.Minute
	w := newWorld(t)
	w.cfg.Idle = idle
	w.reopen()
	ctx := t.Context()
	g, err := w.Login(ctx, engineer(w).attempt())
	if err != nil {
		t.Fatal(err)
	}
	who, err := w.Authenticate(ctx, g.Token)
	if err != nil || who.Login == "" || strings.Contains(who.Login, g.Token) {
		t.Fatalf("Authenticate = %+v, %v", who, err)
	}
	if _, err := w.Authenticate(ctx, who.Login); !errors.Is(err, identity.ErrNotSignedIn) {
		t.Errorf("the login's id signs in: %v", err)
	}
	look := func(want bool) {
		t.Helper()
		seen, err := w.Alive(ctx, who)
		if want && (err != nil || seen.Identity != who.Identity || seen.Login != who.Login || !seen.Is(session.Engineer)) {
			t.Errorf("Alive = %+v, %v", seen, err)
		}
		if !want && (!errors.Is(err, identity.ErrNotSignedIn) || seen.Sub != "" || seen.Login != "") {
			t.Errorf("Alive = %+v, %v", seen, err)
		}
	}
	w.now.Add(int64(idle - 2*time.Minute))
	look(true)
	if err := w.Use(ctx, who); err != nil {
		t.Fatal(err)
	}
	for range 7 {
		look(true)
		w.now.Add(int64(idle/7) - int64(time.Second))
	}
	look(true)
	w.now.Add(int64(time.Minute))
	look(false) // none of the looks kept it
	if err := w.Use(ctx, who); !errors.Is(err, identity.ErrNotSignedIn) {
		t.Errorf("Use of what is over = %v", err)
	}
	for _, bad := range []string{"nobody", g.Token} {
		if _, err := w.Look(ctx, bad); !errors.Is(err, identity.ErrNotSignedIn) {
			t.Errorf("Look(%q) = %v", bad, err)
		}
		if _, err := w.Glance(ctx, bad); !errors.Is(err, identity.ErrNotSignedIn) {
			t.Errorf("Glance(%q) = %v", bad, err)
		}
	}
	g, err = w.Login(ctx, engineer(w).attempt())
	if err != nil {
		t.Fatal(err)
	}
	if who, err = w.Authenticate(ctx, g.Token); err != nil {
		t.Fatal(err)
	}
	look(true)
	if err := w.Logout(ctx, g.Token); err != nil {
		t.Fatal(err)
	}
	look(false)
}

func TestTheVerifiersWordsReachThePerson(t *testing.T) {
	w := newWorld(t)
	w.tokens.no = &session.Error{Kind: session.Expired, Message: "The token is too old.", Next: "Set the clock."}
	_, err := w.Login(t.Context(), engineer(w).attempt())
	var e *session.Error
	if !errors.As(err, &e) || e.Kind != session.Denied || e.Message != "The token is too old." || e.Next != "Set the clock." || !errors.Is(err, identity.ErrNotSignedIn) {
		t.Errorf("Login = %v", err)
	}
	w.tokens.no = session.Errorf(session.Internal, "nil map in %s", "claims.go")
	if _, err = w.Login(t.Context(), engineer(w).attempt()); !errors.As(err, &e) || e.Message != "Your sign-in was not accepted." {
		t.Errorf("Login = %v", err)
	}
}

func TestTroubleIsNotARefusal(t *testing.T) {
	w := newWorld(t)
	w.tokens.down = true
	if _, err := w.Login(t.Context(), engineer(w).attempt()); session.KindOf(err) != session.Unreachable {
		t.Errorf("without keys: %v", err)
	}
	w.tokens.down = false
	g, err := w.Login(t.Context(), engineer(w).attempt())
	if err != nil {
		t.Fatal(err)
	}
	w.redis.Close()
	if _, err := w.Authenticate(t.Context(), g.Token); session.KindOf(err) != session.Unreachable || errors.Is(err, identity.ErrNotSignedIn) {
		t.Errorf("without a store: %v", err)
	}
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(*identity.Config){
		"an issuer twice":            func(c *identity.Config) { c.Issuers = append(c.Issuers, c.Issuers[1]) },
		"an issuer without sites":    func(c *identity.Config) { c.Issuers[0].Sites = nil },
		"a hospital of all sites":    func(c *identity.Config) { c.Issuers[1].Sites = []string{"*"} },
		"a site that is no name":     func(c *identity.Config) { c.Issuers[1].Sites = []string{"N GH"} },
		"an issuer without side":     func(c *identity.Config) { c.Issuers[0].Side = "" },
		"an issuer without login":    func(c *identity.Config) { c.Issuers[0].Login = "" },
		"a broker URL with a slash":  func(c *identity.Config) { c.BrokerURL += "/" },
		"no broker URL":              func(c *identity.Config) { c.BrokerURL = "" },
		"no verifier":                func(c *identity.Config) { c.Tokens = nil },
		"no nonce":                   func(c *identity.Config) { c.Nonce = nil },
		"nowhere to keep logins":     func(c *identity.Config) { c.Sessions = nil },
		"nothing to limit them with": func(c *identity.Config) { c.Attempts = nil },
	} {
		w := newWorld(t)
		spoil(&w.cfg)
		if _, err := identity.New(w.cfg); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func FuzzLogin(f *testing.F) {
	p := somebody(vendor, "ada", start, session.GroupEngineers)
	a := p.attempt()
	f.Add(a.IDToken, a.Salt, a.Key, a.Signature)
	f.Add("e30.e30.e30", a.Salt, a.Key, ed25519.Sign(p.key, identity.ProofMessage("e30.e30.e30")))
	f.Add("..", []byte{}, "", []byte{})
	d, err := identity.New(identity.Config{BrokerURL: brokerURL, Tokens: deny{}, Sessions: deny{}, Attempts: deny{}, Nonce: nonce})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, token string, salt []byte, key string, signature []byte) {
		g, err := d.Login(t.Context(), identity.Attempt{IDToken: token, Salt: salt, Key: key, Signature: signature})
		if err == nil || g.Token != "" {
			t.Fatal("a door without issuers let somebody in")
		}
	})
}

// deny counts nothing, knows nobody and keeps nothing.
type deny struct{ identity.Sessions }

func (deny) Count(context.Context, string, time.Duration, int) (bool, time.Duration, error) {
	return true, 0, nil
}

func (deny) Verify(context.Context, string, string, idtoken.Expect) (idtoken.Claims, error) {
	return idtoken.Claims{}, errors.New("no")
}

func bytes32(b byte) []byte { return []byte(strings.Repeat(string(rune(b)), 32)) }
