package idtoken_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/sallyport/sallyport/session/idtoken"
)

func FuzzStrictJSON(f *testing.F) {
	for _, seed := range []string{
		`{"alg":"RS256","kid":"k1","typ":"JWT"}`,
		`{"iss":"https://example.com","sub":"u1","aud":["a"],"nonce":"n","iat":1772600766,"exp":1772601067.5,"groups":["x","y"]}`,
		`{"a":1,"a":2}`, `{"a":1,"A":2}`, `{"K":1,"k":2}`, `{"a":{"b":[{"c":null}]}}`, `{}`, `[]`, `{} {}`, `{"a":`, "\xff", `"\ud800"`,
		`{"_claim_names":{"groups":"src1"},"_claim_sources":{"src1":{"endpoint":"https://x"}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := idtoken.ParseObject(b)
		if err != nil {
			return
		}
		// What was accepted, encoding/json reads to the same thing, whichever of
		// several equal names it would have preferred.
		var std map[string]any
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		if err := d.Decode(&std); err != nil {
			t.Fatalf("accepted what is not JSON: %v", err)
		}
		ours, _ := json.Marshal(o)
		theirs, _ := json.Marshal(std)
		if !bytes.Equal(ours, theirs) {
			t.Fatalf("read as %s, encoding/json as %s", ours, theirs)
		}
	})
}

func FuzzToken(f *testing.F) {
	p := newIDP(f)
	set := p.keySet(f)
	good := p.good(nil)
	f.Add(good)
	f.Add(good + ".")
	f.Add(mintRaw([]byte("x"), `{"alg":"none","kid":"k1"}`, `{}`))
	f.Add("..")
	f.Fuzz(func(t *testing.T, compact string) {
		_, err := idtoken.Verify(t.Context(), set, compact, p.expect())
		if err == nil && compact != good {
			t.Fatalf("accepted a token that nobody signed: %q", compact)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	p := newIDP(b)
	set := p.keySet(b)
	token, e := p.good(nil), p.expect()
	for b.Loop() {
		if _, err := idtoken.Verify(b.Context(), set, token, e); err != nil {
			b.Fatal(err)
		}
	}
}
