package idtoken_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
)

// An issuer whose sub is another one for each client makes several people of one, as soon
// as several clients count: nothing of it counts, until another claim is the name.
func TestOnePersonIsOnePersonForAllClients(t *testing.T) {
	classes := map[string]session.ClientClass{client: session.CLI, "sallyport-web": session.Web}
	one := map[string]session.ClientClass{client: session.CLI}
	oid := session.Tokens{Subject: "oid", Tenant: "t1"}
	for name, row := range map[string]struct {
		kinds   any
		entries []session.Issuer
		good    bool
	}{
		"two clients":                 {[]string{"pairwise"}, []session.Issuer{{Clients: classes}}, false},
		"a client and a login":        {[]string{"pairwise"}, []session.Issuer{{Clients: one, Login: "sallyport-web"}}, false},
		"one client on each side":     {[]string{"pairwise"}, []session.Issuer{{Clients: one}, {Clients: map[string]session.ClientClass{"console": session.Console}}}, false},
		"sub, said once more":         {[]string{"pairwise"}, []session.Issuer{{Clients: classes, Tokens: session.Tokens{Subject: "sub"}}}, false},
		"one client":                  {[]string{"pairwise"}, []session.Issuer{{Clients: one}}, true},
		"one client in two places":    {[]string{"pairwise"}, []session.Issuer{{Clients: one, Login: client}, {Clients: one}}, true},
		"another claim":               {[]string{"pairwise"}, []session.Issuer{{Clients: classes, Tokens: oid}}, true},
		"public":                      {[]string{"public"}, []session.Issuer{{Clients: classes}}, true},
		"both, by client":             {[]string{"public", "pairwise"}, []session.Issuer{{Clients: classes}}, true},
		"an issuer that says nothing": {nil, []session.Issuer{{Clients: classes}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := newIDP(t)
			p.discovery["subject_types_supported"] = row.kinds
			for i := range row.entries {
				row.entries[i].URL = issuer
			}
			sets, err := idtoken.NewKeySets(row.entries, func(session.Issuer) idtoken.Options { return p.options() })
			if err != nil {
				t.Fatal(err)
			}
			set, _ := sets.For(issuer)
			token := p.good(map[string]any{"oid": "o1", "tid": "t1"})
			_, err = idtoken.Verify(t.Context(), set, token, p.expect())
			asked := sets.Ask(t.Context())
			if row.good {
				if err != nil || asked != nil {
					t.Errorf("%v, %v", err, asked)
				}
				return
			}
			for _, err := range []error{err, asked} {
				refusedAs(t, err, session.Refused)
				if !strings.Contains(err.Error(), "pairwise") || !strings.Contains(err.Error(), client) {
					t.Errorf("says %q", err)
				}
			}
		})
	}
}

// With pinned keys nobody reads what an issuer says of its subjects.
func TestPinnedKeysNeedANamedSubject(t *testing.T) {
	i := session.Issuer{URL: issuer, JWKS: "https://keys.example/jwks", Login: "sallyport-cli", Clients: map[string]session.ClientClass{"sallyport-console": session.Console}}
	if err := i.Check("$"); err == nil || !strings.Contains(err.Error(), "$.subject") {
		t.Errorf("%v", err)
	}
	i.Subject = "sub"
	if err := i.Check("$"); err != nil {
		t.Error(err)
	}
}

// An issuer that does not answer stops nobody from starting.
func TestSilentIssuersStopNobody(t *testing.T) {
	p := newIDP(t)
	p.change(func(p *idp) { p.broken = true })
	sets, err := idtoken.NewKeySets([]session.Issuer{{URL: issuer}}, func(session.Issuer) idtoken.Options { return p.options() })
	if err != nil {
		t.Fatal(err)
	}
	if err := sets.Ask(t.Context()); err != nil {
		t.Error(err)
	}
}

// Where nobody here reaches the issuer its keys come from a file, which may be replaced.
func TestKeysFromAFile(t *testing.T) {
	p := newIDP(t)
	p.change(func(p *idp) { p.broken = true })
	file := filepath.Join(t.TempDir(), "keys.json")
	write := func(keys ...any) {
		body, _ := json.Marshal(map[string]any{"keys": keys})
		if err := os.WriteFile(file, body, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	set := p.keySetWith(t, session.Issuer{URL: issuer, Keys: file}, p.options())
	_, err := idtoken.Verify(t.Context(), set, p.good(nil), p.expect())
	refusedAs(t, err, session.Unreachable)
	write(publicJWK("k1", rsaKey().Public(), "sig"))
	p.pass(time.Minute)
	if _, err := idtoken.Verify(t.Context(), set, p.good(nil), p.expect()); err != nil {
		t.Fatal(err)
	}
	write(publicJWK("k2", otherRSA().Public(), "sig"))
	p.pass(time.Minute)
	if _, err := idtoken.Verify(t.Context(), set, p.rotated("k2"), p.expect()); err != nil {
		t.Error(err)
	}
	_, err = idtoken.Verify(t.Context(), set, p.good(nil), p.expect())
	refusedAs(t, err, session.Unreachable)
}
