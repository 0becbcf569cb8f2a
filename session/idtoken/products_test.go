package idtoken_test

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
)

const tenant = "8d5b2c4e-6b0f-4f0e-9d4b-0c2f5a7e9b11"

// The shapes of tokens as the vendors of identity providers publish them, each with the
// entry that deploy/identity says for it.
func TestTokensAsProductsMakeThem(t *testing.T) {
	p := newIDP(t)
	now := p.clock().Unix()
	vendor := []string{"vendor.example"}
	ids := make([]string, 150)
	for i := range ids {
		ids[i] = fmt.Sprintf("00000000-0000-4000-8000-%012d", i)
	}
	for name, row := range map[string]struct {
		entry   session.Tokens
		domains []string
		claims  map[string]any // in place of the usual ones
		sub     string
		email   string
		groups  int
	}{
		"Entra ID": {
			session.Tokens{Subject: "oid", Tenant: tenant, GroupsClaim: "roles", Fresh: "3m"}, []string{"northfield.example"},
			map[string]any{"ver": "2.0", "sub": "pairwise-1", "oid": "oid-anna", "tid": tenant, "email": nil, "groups": nil, "preferred_username": "anna@northfield.example",
				"roles": []string{"scanner-approvers"}, "iat": now - 300, "nbf": now - 300, "exp": now + 3600, "auth_time": now - 150, "rh": "0.A", "uti": "x"},
			"oid-anna", "anna@northfield.example", 1,
		},
		"Entra ID, too many groups and a role": {
			session.Tokens{Subject: "oid", Tenant: tenant, GroupsClaim: "roles", Fresh: "3m"}, vendor,
			map[string]any{"oid": "oid-anna", "tid": tenant, "groups": nil, "roles": []string{"scanner-approvers"}, "hasgroups": true,
				"_claim_names": map[string]any{"groups": "src1"}, "_claim_sources": map[string]any{"src1": map[string]any{"endpoint": "https://graph.example/x"}}},
			"oid-anna", "eva@vendor.example", 1,
		},
		"AD FS": {
			session.Tokens{Subject: "unique_name", GroupsClaim: "group"}, []string{"northfield.example"},
			map[string]any{"sub": "pairwise-2", "unique_name": `NORTHFIELD\Anna`, "upn": "anna@northfield.example", "email": nil, "name": nil,
				"groups": nil, "group": "scanner-approvers", "auth_time": now - 20, "apptype": "Public", "sid": "S-1-5-21-1", "pwd_exp": "1"},
			`northfield\anna`, "anna@northfield.example", 1,
		},
		"Keycloak": {
			session.Tokens{}, vendor,
			map[string]any{"typ": "ID", "azp": client, "sid": "s", "acr": "1", "email_verified": true, "preferred_username": "anna", "groups": []string{"/clinic", "scanner-approvers"}},
			"u1", "eva@vendor.example", 2,
		},
		"Okta": {
			session.Tokens{}, vendor,
			map[string]any{"ver": 1, "sub": "00u1", "jti": "ID.x", "amr": []string{"pwd", "mfa"}, "idp": "00o1", "groups": []string{"Everyone", "scanner-approvers"}},
			"00u1", "eva@vendor.example", 2,
		},
		"PingFederate": {
			session.Tokens{GroupsClaim: "memberOf"}, vendor,
			map[string]any{"pi.sri": "x", "email": nil, "preferred_username": "anna", "groups": nil, "memberOf": "scanner-approvers"},
			"u1", "anna", 1,
		},
		"a token of 10 KB": {
			session.Tokens{GroupsClaim: "groups"}, vendor, map[string]any{"groups": ids, "padding": strings.Repeat("x", 8<<10)}, "u1", "eva@vendor.example", 150,
		},
		"an address of somebody else's domain": {
			session.Tokens{}, []string{"northfield.example"}, map[string]any{"upn": "anna@northfield.example"}, "u1", "anna@northfield.example", 1,
		},
		"an address, and no domains": {
			session.Tokens{}, nil, map[string]any{"upn": "eva@vendor.example"}, "u1", "", 1,
		},
		"somebody else's address alone": {
			session.Tokens{}, []string{"northfield.example"}, nil, "u1", "", 1,
		},
		"two addresses in one": {
			session.Tokens{}, vendor, map[string]any{"email": "jana@meridian.example@vendor.example", "upn": "jana@meridian.example <x@vendor.example"}, "u1", "", 1,
		},
		"an account that reads like a sentence": {
			session.Tokens{}, vendor, map[string]any{"email": nil, "preferred_username": "jana of meridian, verified"}, "u1", "", 1,
		},
		"an address that was not verified": {
			session.Tokens{}, vendor, map[string]any{"email_verified": false}, "u1", "", 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			entry := session.Issuer{URL: issuer, Tokens: row.entry, Domains: row.domains}
			if err := entry.Check("$"); err != nil {
				t.Fatal(err)
			}
			e := p.expect()
			e.FreshLogin = entry.FreshFor()
			c, err := idtoken.Verify(t.Context(), p.keySetWith(t, entry, p.options()), p.good(row.claims), e)
			if err != nil {
				t.Fatal(err)
			}
			if c.Sub != row.sub || c.Email != row.email || len(c.Groups) != row.groups {
				t.Errorf("sub %q, email %q, %d groups", c.Sub, c.Email, len(c.Groups))
			}
		})
	}
}

// Who a person is, is what the entry says and nothing else.
func TestSubjectAndTenant(t *testing.T) {
	p := newIDP(t)
	entra := session.Issuer{URL: issuer, Tokens: session.Tokens{Subject: "oid", Tenant: tenant}}
	set := p.keySetWith(t, entra, p.options())
	for name, row := range map[string]struct {
		claims map[string]any
		kind   session.Kind
		says   string
	}{
		"no oid":             {map[string]any{"tid": tenant}, session.Invalid, "the claim oid is missing"},
		"an oid of no text":  {map[string]any{"tid": tenant, "oid": 7}, session.Invalid, "the claim oid is missing"},
		"an oid of a line":   {map[string]any{"tid": tenant, "oid": "a\nb"}, session.Invalid, "oid"},
		"another tenant":     {map[string]any{"tid": "9188040d", "oid": "o"}, session.Denied, "9188040d"},
		"no tenant":          {map[string]any{"oid": "o"}, session.Denied, "another tenant"},
		"tenant in capitals": {map[string]any{"tid": strings.ToUpper(tenant), "oid": "o"}, session.Denied, "another tenant"},
	} {
		_, err := idtoken.Verify(t.Context(), set, p.good(row.claims), p.expect())
		refusedAs(t, err, row.kind)
		if !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: says %q", name, err)
		}
	}
}

// Only the pinned algorithms count, whatever the keys could do.
func TestPinnedAlgorithms(t *testing.T) {
	p := newIDP(t)
	_, edKey, _ := ed25519.GenerateKey(nil)
	p.keys = append(p.keys, publicJWK("e1", ecKey().Public(), "sig"), publicJWK("d1", edKey.Public(), "sig"))
	tokens := map[string]string{
		"RS256": p.good(nil),
		"ES256": mint(ecKey(), map[string]any{"alg": "ES256", "kid": "e1", "typ": "jwt"}, p.goodClaims()),
		"EdDSA": mint(edKey, map[string]any{"alg": "EdDSA", "kid": "d1"}, p.goodClaims()),
	}
	for _, pinned := range [][]string{nil, {"RS256"}, {"ES256"}, {"EdDSA"}, {"ES256", "RS256"}} {
		entry := session.Issuer{URL: issuer, Tokens: session.Tokens{Algorithms: pinned}}
		set := p.keySetWith(t, entry, p.options())
		for alg, token := range tokens {
			_, err := idtoken.Verify(t.Context(), set, token, p.expect())
			if good := slices.Contains(entry.Signatures(), alg); good != (err == nil) {
				t.Errorf("%v pinned, a token of %s: %v", pinned, alg, err)
			}
		}
	}
}

// A key of one kind does not verify as another, though its owner says so.
func TestKeysOfAnotherKind(t *testing.T) {
	p := newIDP(t)
	_, edKey, _ := ed25519.GenerateKey(nil)
	p.keys = append(p.keys, publicJWK("d1", edKey.Public(), "sig"))
	set := p.keySetWith(t, session.Issuer{URL: issuer, Tokens: session.Tokens{Algorithms: []string{"EdDSA", "ES256", "RS256"}}}, p.options())
	for _, alg := range []string{"ES256", "RS256"} {
		_, err := idtoken.Verify(t.Context(), set, mint(edKey, map[string]any{"alg": alg, "kid": "d1"}, p.goodClaims()), p.expect())
		if err == nil {
			t.Errorf("an Ed25519 key signed as %s", alg)
		}
		p.pass(2 * time.Minute)
	}
}
