package idtoken_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
)

func TestGoodTokens(t *testing.T) {
	p := newIDP(t)
	set := p.keySet(t)
	t.Run("made by another library", func(t *testing.T) {
		signer, err := jose.NewSigner(
			jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: rsaKey(), KeyID: "k1"}},
			(&jose.SignerOptions{}).WithType("JWT"))
		if err != nil {
			t.Fatal(err)
		}
		payload, _ := json.Marshal(p.goodClaims())
		signed, err := signer.Sign(payload)
		if err != nil {
			t.Fatal(err)
		}
		compact, _ := signed.CompactSerialize()
		c, err := idtoken.Verify(t.Context(), set, compact, p.expect())
		if err != nil {
			t.Fatal(err)
		}
		if key := c.Key; !strings.Contains(string(key), `"kid":"k1"`) {
			t.Errorf("key for the record: %s", key)
		}
		c.Key = nil
		now := p.clock()
		want := idtoken.Claims{
			Person: session.Person{Identity: session.Identity{Iss: issuer, Sub: "u1"}, Email: "eva@vendor.example", Name: "Eva Engineer"},
			Client: client, Groups: []string{"field-service"}, KeyID: "k1",
			IssuedAt: now.Add(-time.Second), Expires: now.Add(5 * time.Minute), AuthTime: now.Add(-11 * time.Second),
		}
		if diff := cmp.Diff(want, c); diff != "" {
			t.Error(diff)
		}
	})
	accepted := map[string]map[string]any{
		"audience as an array of one":    {"aud": []string{client}},
		"azp that says the same":         {"azp": client},
		"a group as a string":            {"groups": "field-service"},
		"roles beside no groups":         {"groups": nil, "roles": []string{"field-service"}},
		"a name that says two things":    {"nested": map[string]any{"Client": 1, "client": 2}},
		"no auth_time":                   {"auth_time": nil},
		"times with fractions":           {"iat": float64(p.clock().Unix()) - 0.5},
		"clock two minutes ahead of us":  {"iat": p.clock().Unix() + 120, "nbf": p.clock().Unix() + 120},
		"expired within the leeway":      {"exp": p.clock().Unix() - 120},
		"fifteen minutes old, no more":   {"iat": p.clock().Unix() - 900},
		"hasgroups that says there none": {"hasgroups": false},
	}
	for name, changes := range accepted {
		t.Run(name, func(t *testing.T) {
			c, err := idtoken.Verify(t.Context(), set, p.good(changes), p.expect())
			if err != nil {
				t.Fatal(err)
			}
			if c.Overage || len(c.Groups) != 1 || c.Groups[0] != "field-service" {
				t.Errorf("groups %q, overage %t", c.Groups, c.Overage)
			}
		})
	}
	t.Run("no typ", func(t *testing.T) {
		if _, err := idtoken.Verify(t.Context(), set, mint(rsaKey(), with(goodHeader(), map[string]any{"typ": nil}), p.goodClaims()), p.expect()); err != nil {
			t.Fatal(err)
		}
	})
}

// Every row is a token that some verifier somewhere has accepted.
func TestEvilTokens(t *testing.T) {
	p := newIDP(t)
	set := p.keySet(t)
	now := p.clock().Unix()
	good := p.good(nil)
	if _, err := idtoken.Verify(t.Context(), set, good, p.expect()); err != nil { // and now the keys are there
		t.Fatal(err)
	}
	parts := strings.Split(good, ".")
	claims, _ := json.Marshal(p.goodClaims())
	head := `{"alg":"RS256","kid":"k1"}`
	open := strings.TrimSuffix(string(claims), "}")
	header := func(changes map[string]any) string {
		return mint(rsaKey(), with(goodHeader(), changes), p.goodClaims())
	}
	der, _ := x509.MarshalPKIXPublicKey(rsaKey().Public())
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	hs256 := func() string {
		input := b64([]byte(`{"alg":"HS256","kid":"k1"}`)) + "." + b64(claims)
		mac := hmac.New(sha256.New, publicPEM)
		mac.Write([]byte(input))
		return input + "." + b64(mac.Sum(nil))
	}
	own, _ := json.Marshal(publicJWK("k1", otherRSA().Public(), "sig"))

	rows := []struct {
		name  string
		token string
		kind  session.Kind
	}{
		{"nothing", "", session.Invalid},
		{"a mebibyte of dots", strings.Repeat(".", 1<<20), session.Invalid},
		{"larger than 32 KiB", p.good(map[string]any{"x": strings.Repeat("x", 24<<10)}), session.Invalid},
		{"two segments", parts[0] + "." + parts[1], session.Invalid},
		{"four segments", good + "." + parts[2], session.Invalid},
		{"JSON serialisation", `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, session.Invalid},
		{"no signature", parts[0] + "." + parts[1] + ".", session.Invalid},
		{"line break in a segment", parts[0] + "\n." + parts[1] + "." + parts[2], session.Invalid},
		{"padding", good + "==", session.Invalid},
		{"loose bits in the last character", good[:len(good)-1] + string(good[len(good)-1]+1), session.Invalid},
		{"alg none", mintRaw([]byte("x"), `{"alg":"none","kid":"k1"}`, string(claims)), session.Invalid},
		{"alg none, empty signature", b64([]byte(`{"alg":"none","kid":"k1"}`)) + "." + b64(claims) + ".", session.Invalid},
		{"HS256 with the public key as secret", hs256(), session.Invalid},
		{"RS512, which is not pinned", header(map[string]any{"alg": "RS512"}), session.Invalid},
		{"ES256, which is not pinned", mint(ecKey(), map[string]any{"alg": "ES256", "kid": "k1"}, p.goodClaims()), session.Invalid},
		{"no alg", header(map[string]any{"alg": nil}), session.Invalid},
		{"no kid", header(map[string]any{"kid": nil}), session.Invalid},
		{"kid that is a number", header(map[string]any{"kid": 1}), session.Invalid},
		{"unknown kid", header(map[string]any{"kid": "k2"}), session.Unreachable},
		{"copied kid, another key", mint(otherRSA(), goodHeader(), p.goodClaims()), session.Invalid},
		{"embedded jwk", mintRaw(otherRSA(), `{"alg":"RS256","kid":"k1","jwk":`+string(own)+`}`, string(claims)), session.Invalid},
		{"embedded jwk, even the right one", header(map[string]any{"jwk": publicJWK("k1", rsaKey().Public(), "sig")}), session.Invalid},
		{"crit", header(map[string]any{"crit": []string{"exp"}}), session.Invalid},
		{"unencoded payload", header(map[string]any{"b64": false}), session.Invalid},
		{"compressed", header(map[string]any{"zip": "DEF"}), session.Invalid},
		{"typ of a logout token", header(map[string]any{"typ": "logout+jwt"}), session.Invalid},
		{"typ of an access token", header(map[string]any{"typ": "at+jwt"}), session.Invalid},
		{"duplicate alg", mintRaw(rsaKey(), `{"alg":"none","alg":"RS256","kid":"k1"}`, string(claims)), session.Invalid},
		{"ALG beside alg", mintRaw(rsaKey(), `{"alg":"RS256","ALG":"none","kid":"k1"}`, string(claims)), session.Invalid},
		{"header with data after it", mintRaw(rsaKey(), head+"{}", string(claims)), session.Invalid},
		{"header that is a list", mintRaw(rsaKey(), `["RS256"]`, string(claims)), session.Invalid},
		{"payload that is a string", mintRaw(rsaKey(), head, `"claims"`), session.Invalid},
		{"payload that is not UTF-8", mintRaw(rsaKey(), head, open+",\"x\":\"\xff\"}"), session.Invalid},
		{"payload nested 100 deep", mintRaw(rsaKey(), head, open+`,"x":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+"}"), session.Invalid},
		{"duplicate nonce, ours last", mintRaw(rsaKey(), head, `{"nonce":"another",`+string(claims)[1:]), session.Invalid},
		{"duplicate nonce, ours first", mintRaw(rsaKey(), head, open+`,"nonce":"another"}`), session.Invalid},
		{"duplicate by escape", mintRaw(rsaKey(), head, open+`,"\u006eonce":"another"}`), session.Invalid},
		{"NONCE beside nonce", mintRaw(rsaKey(), head, open+`,"NONCE":"another"}`), session.Invalid},
		{"NONCE instead of nonce", p.good(map[string]any{"nonce": nil, "NONCE": "the-nonce"}), session.Invalid},
		{"GROUPS beside groups", mintRaw(rsaKey(), head, open+`,"GROUPS":["scanner-approvers"]}`), session.Invalid},
		{"groups with a long s", mintRaw(rsaKey(), head, open+`,"groupſ":["scanner-approvers"]}`), session.Invalid},
		{"duplicate name deep inside", mintRaw(rsaKey(), head, open+`,"x":[{"y":1,"y":2}]}`), session.Invalid},
		{"other nonce", p.good(map[string]any{"nonce": "the-nonce2"}), session.Invalid},
		{"no nonce", p.good(map[string]any{"nonce": nil}), session.Invalid},
		{"issuer with a slash", p.good(map[string]any{"iss": issuer + "/"}), session.Invalid},
		{"issuer in capitals", p.good(map[string]any{"iss": "https://EXAMPLE.com"}), session.Invalid},
		{"issuer without its scheme", p.good(map[string]any{"iss": "example.com"}), session.Invalid},
		{"no issuer", p.good(map[string]any{"iss": nil}), session.Invalid},
		{"other audience", p.good(map[string]any{"aud": "mail"}), session.Invalid},
		{"two audiences", p.good(map[string]any{"aud": []string{client, "mail"}}), session.Invalid},
		{"both our clients as audiences", p.good(map[string]any{"aud": []string{client, "sallyport-web"}}), session.Invalid},
		{"empty audience", p.good(map[string]any{"aud": []string{}}), session.Invalid},
		{"no audience", p.good(map[string]any{"aud": nil}), session.Invalid},
		{"other azp", p.good(map[string]any{"azp": "mail"}), session.Invalid},
		{"azp that is a list", p.good(map[string]any{"azp": []string{client}}), session.Invalid},
		{"no sub", p.good(map[string]any{"sub": nil}), session.Invalid},
		{"empty sub", p.good(map[string]any{"sub": ""}), session.Invalid},
		{"sub that is a number", p.good(map[string]any{"sub": 1}), session.Invalid},
		{"sub with a line break", p.good(map[string]any{"sub": "u1\n"}), session.Invalid},
		{"sub of 256 bytes", p.good(map[string]any{"sub": strings.Repeat("u", 256)}), session.Invalid},
		{"no iat", p.good(map[string]any{"iat": nil}), session.Invalid},
		{"no exp", p.good(map[string]any{"exp": nil}), session.Invalid},
		{"exp that is a string", p.good(map[string]any{"exp": "9999999999"}), session.Invalid},
		{"exp beyond all years", p.good(map[string]any{"exp": 1e300}), session.Invalid},
		{"iat in milliseconds", p.good(map[string]any{"iat": now * 1000}), session.Invalid},
		{"iat of the year 4878", p.good(map[string]any{"iat": 91795417683}), session.Refused},
		{"iat 121 s ahead", p.good(map[string]any{"iat": now + 121}), session.Refused},
		{"nbf 121 s ahead", p.good(map[string]any{"nbf": now + 121}), session.Refused},
		{"iat 901 s ago", p.good(map[string]any{"iat": now - 901}), session.Expired},
		{"exp 121 s ago", p.good(map[string]any{"exp": now - 121}), session.Expired},
		{"auth_time that is a string", p.good(map[string]any{"auth_time": "now"}), session.Invalid},
		{"acr that is a number", p.good(map[string]any{"acr": 1}), session.Invalid},
		{"groups that are objects", p.good(map[string]any{"groups": []any{map[string]any{"id": 1}}}), session.Invalid},
		{"groups that are a number", p.good(map[string]any{"groups": 7}), session.Invalid},
	}
	if len(rows) < 60 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			start := time.Now()
			c, err := idtoken.Verify(t.Context(), set, row.token, p.expect())
			refusedAs(t, err, row.kind)
			if c.Sub != "" || c.Groups != nil {
				t.Errorf("claims of a refused token: %+v", c)
			}
			if d := time.Since(start); d > time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}

// refusedAs checks that err is one plain sentence of the right kind with a way on.
func refusedAs(t *testing.T, err error, kind session.Kind) {
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

// Some libraries let Google leave out the scheme; we let nobody.
func TestGoogleIsNoException(t *testing.T) {
	const google = "https://accounts.google.com"
	p := newIDP(t)
	set := p.keySetWith(t, session.Issuer{URL: google, JWKS: "https://example.com/keys"}, p.options())
	e := p.expect()
	e.Issuer = google
	if _, err := idtoken.Verify(t.Context(), set, p.good(map[string]any{"iss": google}), e); err != nil {
		t.Fatal(err)
	}
	_, err := idtoken.Verify(t.Context(), set, p.good(map[string]any{"iss": "accounts.google.com"}), e)
	refusedAs(t, err, session.Invalid)
}

// Freshness is a matter of auth_time and of the receiver's clock. iat only may not lie in
// the future nor be older than the token's own bound.
func TestFreshLogin(t *testing.T) {
	p := newIDP(t)
	set := p.keySet(t)
	now := p.clock().Unix()
	entra := func(auth int64) map[string]any { // iat and nbf are dated back by five minutes
		return map[string]any{"auth_time": auth, "iat": auth - 300, "nbf": auth - 300, "exp": auth + 3900}
	}
	for name, row := range map[string]struct {
		changes map[string]any
		fresh   time.Duration
		says    string // empty: good
	}{
		"just now":                           {map[string]any{"auth_time": now}, time.Minute, ""},
		"after iat":                          {map[string]any{"auth_time": now, "iat": now - 10}, time.Minute, ""},
		"sixty seconds and the skew ago":     {map[string]any{"auth_time": now - 90}, time.Minute, ""},
		"a second more":                      {map[string]any{"auth_time": now - 91}, time.Minute, "1m31s before"},
		"the issuer's clock is ahead":        {map[string]any{"auth_time": now + 120}, time.Minute, ""},
		"in the future":                      {map[string]any{"auth_time": now + 121}, time.Minute, "future"},
		"not said":                           {map[string]any{"auth_time": nil}, time.Minute, "auth_time is missing"},
		"re-issued from a refresh token":     {map[string]any{"auth_time": now - 3600}, time.Minute, "1h0m0s before"},
		"age is not made up for by a lie":    {map[string]any{"auth_time": 0}, time.Minute, "before"},
		"dated back":                         {entra(now - 5), time.Minute, ""},
		"dated back, with a second factor":   {entra(now - 170), 3 * time.Minute, ""},
		"dated back, and the factor is slow": {entra(now - 211), 3 * time.Minute, "3m31s before"},
		"dated back, silently minted":        {entra(now - 700), 5 * time.Minute, "too old"},
		"iat is old":                         {map[string]any{"auth_time": now - 1, "iat": now - 901}, time.Minute, "too old"},
		"iat is just not too old":            {map[string]any{"auth_time": now - 1, "iat": now - 900}, time.Minute, ""},
		"wrong acr":                          {map[string]any{"auth_time": now, "acr": "pwd"}, time.Minute, ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := p.expect()
			e.FreshLogin = row.fresh
			_, err := idtoken.Verify(t.Context(), set, p.good(row.changes), e)
			if row.says == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			kind := session.Refused
			if row.says == "too old" {
				kind = session.Expired
			}
			refusedAs(t, err, kind)
			if !strings.Contains(err.Error(), row.says) {
				t.Errorf("says %q, not %q", err, row.says)
			}
		})
	}
	for acr, ok := range map[string]bool{"phr": true, "pwd": false, "": false} {
		e := p.expect()
		e.ACR = []string{"phr", "phrh"}
		_, err := idtoken.Verify(t.Context(), set, p.good(map[string]any{"acr": acr}), e)
		if ok && err != nil {
			t.Fatal(err)
		}
		if !ok {
			refusedAs(t, err, session.Refused)
		}
	}
}

func TestGroupOverageIsSeen(t *testing.T) {
	p := newIDP(t)
	set := p.keySet(t)
	for name, changes := range map[string]map[string]any{
		"hasgroups": {"groups": nil, "hasgroups": true},
		"claim source": {
			"_claim_names":   map[string]any{"groups": "src1"},
			"_claim_sources": map[string]any{"src1": map[string]any{"endpoint": "https://evil.example/groups"}},
		},
	} {
		c, err := idtoken.Verify(t.Context(), set, p.good(changes), p.expect())
		if err != nil || !c.Overage {
			t.Errorf("%s: overage %t, %v", name, c.Overage, err)
		}
	}
	// A marker without its source, and one for something else that is too long.
	for name, over := range map[string]bool{"groups": true, "roles": true, "wids": false} {
		c, err := idtoken.Verify(t.Context(), set, p.good(map[string]any{"_claim_names": map[string]any{name: "src1"}}), p.expect())
		if err != nil || c.Overage != over {
			t.Errorf("%s: overage %t, %v", name, c.Overage, err)
		}
	}
}

// The console looks at a token long after it was minted.
func TestAsMintedIgnoresAgeAlone(t *testing.T) {
	p := newIDP(t)
	set := p.keySet(t)
	old := p.clock().Unix() - 7*24*3600
	e := p.expect()
	e.At, e.AsMinted, e.MaxAge = time.Time{}, true, 0
	if _, err := idtoken.Verify(t.Context(), set, p.good(map[string]any{"iat": old, "exp": old + 300}), e); err != nil {
		t.Fatal(err)
	}
	_, err := idtoken.Verify(t.Context(), set, p.good(map[string]any{"iat": old, "exp": old - 121}), e)
	refusedAs(t, err, session.Expired)
}

// A caller that forgot to say what it expects gets nothing.
func TestLooseExpectationsAreOurFault(t *testing.T) {
	p := newIDP(t)
	set := p.keySet(t)
	for name, loosen := range map[string]func(*idtoken.Expect){
		"issuer":       func(e *idtoken.Expect) { e.Issuer = "" },
		"other issuer": func(e *idtoken.Expect) { e.Issuer = "https://other.example" },
		"clients":      func(e *idtoken.Expect) { e.Clients = nil },
		"empty client": func(e *idtoken.Expect) { e.Clients = []string{""} },
		"nonce":        func(e *idtoken.Expect) { e.Nonce = "" },
		"time":         func(e *idtoken.Expect) { e.At = time.Time{} },
		"both times":   func(e *idtoken.Expect) { e.AsMinted = true },
		"no receipt":   func(e *idtoken.Expect) { e.At, e.AsMinted, e.FreshLogin = time.Time{}, true, time.Minute },
	} {
		t.Run(name, func(t *testing.T) {
			e := p.expect()
			loosen(&e)
			_, err := idtoken.Verify(t.Context(), set, p.good(nil), e)
			refusedAs(t, err, session.Internal)
		})
	}
	_, err := idtoken.Verify(t.Context(), nil, p.good(nil), p.expect())
	refusedAs(t, err, session.Internal)
}

func TestDisplayTextIsHarmless(t *testing.T) {
	p := newIDP(t)
	c, err := idtoken.Verify(t.Context(), p.keySet(t), p.good(map[string]any{
		"name": "Eva\x1b[2J\u202e" + strings.Repeat("é", 300), "email": 7,
	}), p.expect())
	if err != nil {
		t.Fatal(err)
	}
	if c.Email != "" || len(c.Name) > 200 || strings.ContainsAny(c.Name, "\x1b\u202e") || !strings.HasPrefix(c.Name, "Eva 2J éé") {
		t.Errorf("%q, %q", c.Email, c.Name)
	}
}

func TestPeekBelievesOnlyStrictTokens(t *testing.T) {
	p := newIDP(t)
	u, err := idtoken.Peek(p.good(nil))
	if err != nil || u.Issuer != issuer || u.Nonce != "the-nonce" {
		t.Errorf("%+v, %v", u, err)
	}
	_, err = idtoken.Peek(mintRaw(rsaKey(), `{}`, `{"iss":"a","iss":"b"}`))
	refusedAs(t, err, session.Invalid)
}
