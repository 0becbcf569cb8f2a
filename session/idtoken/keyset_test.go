package idtoken_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
)

// rotated is a good token signed with the other key.
func (p *idp) rotated(kid string) string {
	return mint(otherRSA(), with(goodHeader(), map[string]any{"kid": kid}), p.goodClaims())
}

func TestUnknownKeyIDsFetchNothing(t *testing.T) {
	p := newIDP(t)
	set := p.keySet(t)
	if _, err := idtoken.Verify(t.Context(), set, p.good(nil), p.expect()); err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		p.pass(10 * time.Millisecond)
		token := p.rotated(fmt.Sprintf("random-%d", i))
		_, err := idtoken.Verify(t.Context(), set, token, p.expect())
		refusedAs(t, err, session.Unreachable)
	}
	if n := p.fetched(); n != 1 {
		t.Errorf("%d fetches, want the first one only", n)
	}
	// After the gap one more fetch says for certain that nobody publishes the key.
	p.pass(time.Minute)
	_, err := idtoken.Verify(t.Context(), set, p.rotated("random"), p.expect())
	refusedAs(t, err, session.Invalid)
	if n := p.fetched(); n != 2 {
		t.Errorf("%d fetches, want 2", n)
	}
}

func TestNewKeyWorksAfterTheGap(t *testing.T) {
	p := newIDP(t)
	set := p.keySet(t)
	if _, err := idtoken.Verify(t.Context(), set, p.good(nil), p.expect()); err != nil {
		t.Fatal(err)
	}
	p.change(func(p *idp) { p.keys = append(p.keys, publicJWK("k2", otherRSA().Public(), "sig")) })
	p.pass(14 * time.Second)
	_, err := idtoken.Verify(t.Context(), set, p.rotated("k2"), p.expect())
	refusedAs(t, err, session.Unreachable)
	p.pass(time.Second)
	if _, err := idtoken.Verify(t.Context(), set, p.rotated("k2"), p.expect()); err != nil {
		t.Fatal(err)
	}
}

func TestWithdrawnKeyDiesWithinTheHour(t *testing.T) {
	p := newIDP(t)
	set := p.keySet(t)
	if _, err := idtoken.Verify(t.Context(), set, p.good(nil), p.expect()); err != nil {
		t.Fatal(err)
	}
	p.change(func(p *idp) { p.keys = []any{publicJWK("k2", otherRSA().Public(), "sig")} })
	p.pass(59 * time.Minute)
	if _, err := idtoken.Verify(t.Context(), set, p.good(nil), p.expect()); err != nil {
		t.Fatalf("still fresh: %v", err)
	}
	p.pass(time.Minute)
	_, err := idtoken.Verify(t.Context(), set, p.good(nil), p.expect())
	refusedAs(t, err, session.Invalid)
}

func TestStaleKeysCountForALimitedTime(t *testing.T) {
	for _, limit := range []time.Duration{0, 4 * time.Hour} {
		p := newIDP(t)
		o := p.options()
		o.MaxStale = limit
		set := p.keySetWith(t, session.Issuer{URL: issuer}, o)
		if _, err := idtoken.Verify(t.Context(), set, p.good(nil), p.expect()); err != nil {
			t.Fatal(err)
		}
		p.change(func(p *idp) { p.broken = true })
		p.pass(5 * time.Hour)
		_, err := idtoken.Verify(t.Context(), set, p.good(nil), p.expect())
		if limit == 0 && err != nil {
			t.Errorf("blocked for 5 h of 24: %v", err)
		}
		if limit != 0 {
			refusedAs(t, err, session.Unreachable)
		}
		p.pass(24 * time.Hour)
		_, err = idtoken.Verify(t.Context(), set, p.good(nil), p.expect())
		refusedAs(t, err, session.Unreachable)
		p.change(func(p *idp) { p.broken = false })
		p.pass(time.Minute)
		if _, err := idtoken.Verify(t.Context(), set, p.good(nil), p.expect()); err != nil {
			t.Errorf("reachable again: %v", err)
		}
	}
}

func TestColdStartTriesAgainSoonButNotAlways(t *testing.T) {
	p := newIDP(t)
	p.broken = true
	set := p.keySet(t)
	for range 10 {
		_, err := idtoken.Verify(t.Context(), set, p.good(nil), p.expect())
		refusedAs(t, err, session.Unreachable)
	}
	if p.visits != 1 {
		t.Errorf("%d attempts", p.visits)
	}
	p.change(func(p *idp) { p.broken = false })
	p.pass(5 * time.Second)
	if _, err := idtoken.Verify(t.Context(), set, p.good(nil), p.expect()); err != nil {
		t.Fatal(err)
	}
}

func TestKeysThatDoNotCount(t *testing.T) {
	private := publicJWK("k1", rsaKey(), "sig")
	good := publicJWK("k9", otherRSA().Public(), "sig")
	for name, key := range map[string]any{
		"for encryption":     publicJWK("k1", rsaKey().Public(), "enc"),
		"weak":               publicJWK("k1", weakRSA().Public(), "sig"),
		"private":            private,
		"symmetric":          map[string]any{"kty": "oct", "kid": "k1", "k": "c2VjcmV0"},
		"of an unknown type": map[string]any{"kty": "new", "kid": "k1"},
		"not for verifying":  also(t, publicJWK("k1", rsaKey().Public(), ""), "key_ops", []string{"encrypt"}),
		"for PS256 only":     also(t, publicJWK("k1", rsaKey().Public(), "sig"), "alg", "PS256"),
		"of another family":  publicJWK("k1", ecKey().Public(), "sig"),
		"nonsense":           7,
		"without kid":        publicJWK("", rsaKey().Public(), "sig"),
	} {
		t.Run(name, func(t *testing.T) {
			p := newIDP(t)
			p.keys = []any{key, good}
			token := p.good(nil)
			if name == "weak" {
				token = mint(weakRSA(), goodHeader(), p.goodClaims())
			}
			_, err := idtoken.Verify(t.Context(), p.keySet(t), token, p.expect())
			refusedAs(t, err, session.Invalid)
		})
	}
	t.Run("twice under one id", func(t *testing.T) {
		p := newIDP(t)
		p.keys = []any{publicJWK("k1", rsaKey().Public(), "sig"), publicJWK("k1", otherRSA().Public(), "sig")}
		_, err := idtoken.Verify(t.Context(), p.keySet(t), p.good(nil), p.expect())
		refusedAs(t, err, session.Invalid)
	})
	t.Run("an encryption key of the same id is no matter", func(t *testing.T) {
		p := newIDP(t)
		p.keys = append(p.keys, publicJWK("k1", otherRSA().Public(), "enc"))
		if _, err := idtoken.Verify(t.Context(), p.keySet(t), p.good(nil), p.expect()); err != nil {
			t.Fatal(err)
		}
	})
}

// also is a key with one more member.
func also(t *testing.T, key any, name string, value any) map[string]any {
	t.Helper()
	b, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]any{}
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	m[name] = value
	return m
}

func TestHostileProviders(t *testing.T) {
	for name, spoil := range map[string]func(*idp){
		"another issuer":          func(p *idp) { p.discovery["issuer"] = issuer + "/" },
		"keys on another host":    func(p *idp) { p.discovery["jwks_uri"] = "https://evil.example/keys" },
		"keys on another port":    func(p *idp) { p.discovery["jwks_uri"] = issuer + ":444/keys" },
		"keys over plain http":    func(p *idp) { p.discovery["jwks_uri"] = "http://example.com/keys" },
		"keys behind a user":      func(p *idp) { p.discovery["jwks_uri"] = "https://example.com@evil.example/keys" },
		"no keys address":         func(p *idp) { delete(p.discovery, "jwks_uri") },
		"JWKS_URI beside it":      func(p *idp) { p.discovery["JWKS_URI"] = "https://evil.example/keys" },
		"redirects":               func(p *idp) { p.redirect = issuer + "/moved" },
		"errors":                  func(p *idp) { p.broken = true },
		"51 keys":                 func(p *idp) { p.keys = make([]any, 51) },
		"no keys":                 func(p *idp) { p.keys = nil },
		"more than 256 KiB":       func(p *idp) { p.padding = 64 << 10 }, // each NUL is written as six characters
		"a relay to someone else": func(p *idp) { p.target = newStranger(t).Listener.Addr().String() },
		"nobody there":            func(p *idp) { p.target = "127.0.0.1:1" },
	} {
		t.Run(name, func(t *testing.T) {
			p := newIDP(t)
			spoil(p)
			_, err := idtoken.Verify(t.Context(), p.keySet(t), p.good(nil), p.expect())
			refusedAs(t, err, session.Unreachable)
		})
	}
}

func TestPinnedKeyAddress(t *testing.T) {
	p := newIDP(t)
	p.discovery["issuer"] = "unread"
	set := p.keySetWith(t, session.Issuer{URL: issuer, JWKS: "https://example.com/keys"}, p.options())
	if _, err := idtoken.Verify(t.Context(), set, p.good(nil), p.expect()); err != nil {
		t.Fatal(err)
	}
}

func TestAddressesThatCannotBePinned(t *testing.T) {
	for _, i := range []session.Issuer{
		{}, {URL: "example.com"}, {URL: "ftp://example.com"}, {URL: "http://127.0.0.1"},
		{URL: "http://192.0.2.1", InsecureLoopback: true}, {URL: "http://localhost.evil.example", InsecureLoopback: true},
		{URL: "https://user@example.com"}, {URL: "https://example.com/#x"}, {URL: "https://example.com/?x"},
		{URL: issuer, JWKS: "http://example.com/keys"}, {URL: "https:opaque"}, {URL: "https://:443"},
	} {
		_, err := idtoken.NewKeySet(i, idtoken.Options{})
		refusedAs(t, err, session.Invalid)
	}
	for _, url := range []string{"http://127.0.0.1:9/x", "http://localhost:9", "http://[::1]:9"} {
		if _, err := idtoken.NewKeySet(session.Issuer{URL: url, InsecureLoopback: true}, idtoken.Options{}); err != nil {
			t.Error(err)
		}
	}
}

func TestSkewIsMeasured(t *testing.T) {
	for _, row := range []struct{ skew, least, most time.Duration }{
		{0, 0, 0},
		{45 * time.Second, 43 * time.Second, 45 * time.Second},
		{-45 * time.Second, -46 * time.Second, -44 * time.Second},
	} {
		p := newIDP(t)
		p.skew = row.skew
		set := p.keySet(t)
		if _, known := set.Skew(); known {
			t.Error("skew known before any answer")
		}
		if _, err := idtoken.Verify(t.Context(), set, p.good(nil), p.expect()); err != nil {
			t.Fatal(err)
		}
		skew, known := set.Skew()
		if !known || skew < row.least || skew > row.most {
			t.Errorf("skew %v (%t), want %v", skew, known, row.skew)
		}
	}
}

// A clock that was put right is noticed within a minute, not within the hour.
func TestWrongClockIsMeasuredAgainSoon(t *testing.T) {
	p := newIDP(t)
	p.skew = time.Minute
	set := p.keySet(t)
	_, _ = idtoken.Verify(t.Context(), set, p.good(nil), p.expect())
	p.change(func(p *idp) { p.skew = 0 })
	p.pass(time.Minute)
	if _, err := idtoken.Verify(t.Context(), set, p.good(nil), p.expect()); err != nil {
		t.Fatal(err)
	}
	if skew, _ := set.Skew(); skew != 0 {
		t.Errorf("skew still %v", skew)
	}
}

func TestManyCallersShareOneFetch(t *testing.T) {
	p := newIDP(t)
	hold := make(chan struct{})
	p.hold = hold
	set := p.keySet(t)
	token, e := p.good(nil), p.expect()
	hasty, hangUp := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = idtoken.Verify(hasty, set, token, e) })
	<-hold // its fetch has arrived, and whoever asked for it leaves
	hangUp()
	for range 20 {
		wg.Go(func() {
			if _, err := idtoken.Verify(t.Context(), set, token, e); err != nil {
				t.Error(err)
			}
		})
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	_, err := idtoken.Verify(gone, set, token, e) // nobody waits who does not want to
	refusedAs(t, err, session.Unreachable)
	hold <- struct{}{}
	wg.Wait()
	if n := p.fetched(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

// Nothing of a key set runs while nobody asks.
func TestNoGoroutineStays(t *testing.T) {
	before := goleak.IgnoreCurrent()
	p := newIDP(t)
	if _, err := idtoken.Verify(t.Context(), p.keySet(t), p.good(nil), p.expect()); err != nil {
		t.Fatal(err)
	}
	p.server.Close()
	goleak.VerifyNone(t, before)
}

// A caller with patience waits out the gap, when its context leaves the time.
func TestPatienceIsBounded(t *testing.T) {
	for _, row := range []struct {
		patience, deadline, waited time.Duration
	}{
		{0, 0, 0},
		{idtoken.Patience, 0, 15 * time.Second},
		{idtoken.Patience, 10 * time.Second, 0},
		{10 * time.Second, 0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			fetches := 0
			set := warmSet(t, row.patience, &fetches)
			ctx, cancel := t.Context(), context.CancelFunc(func() {})
			if row.deadline > 0 {
				ctx, cancel = context.WithTimeout(ctx, row.deadline)
			}
			defer cancel()
			start := time.Now()
			if _, err := set.VerifySignature(ctx, unknownToken()); err == nil {
				t.Error("accepted")
			}
			if d := time.Since(start); d != row.waited {
				t.Errorf("patience %v, deadline %v: waited %v, want %v", row.patience, row.deadline, d, row.waited)
			}
			if want := 1 + int(row.waited/(15*time.Second)); fetches != want {
				t.Errorf("%d fetches, want %d", fetches, want)
			}
		})
	}
}

func TestKeySetsArePerIssuer(t *testing.T) {
	one := session.Issuer{URL: issuer, Side: session.VendorSide}
	two := session.Issuer{URL: issuer, Side: session.HospitalSide}
	sets, err := idtoken.NewKeySets([]session.Issuer{one, two, {URL: "https://other.example"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, okA := sets.For(issuer)
	b, okB := sets.For("https://other.example")
	if !okA || !okB || a == b || a.Issuer() != issuer {
		t.Error("one set per issuer")
	}
	if _, ok := sets.For(issuer + "/"); ok {
		t.Error("another spelling found a set")
	}
	two.JWKS = issuer + "/other"
	_, err = idtoken.NewKeySets([]session.Issuer{one, two}, nil)
	refusedAs(t, err, session.Invalid)
	_, err = idtoken.NewKeySets([]session.Issuer{{URL: "nonsense"}}, nil)
	refusedAs(t, err, session.Invalid)
}
