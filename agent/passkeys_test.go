package agent

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent/console/page"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/passkey"
)

// badField reports whether a configuration is refused for one of its values.
func badField(err error, path string) bool {
	var many interface{ Unwrap() []error }
	if b, ok := errors.AsType[*session.BadField](err); ok && b.Path == path {
		return true
	}
	if errors.As(err, &many) {
		for _, e := range many.Unwrap() {
			if badField(e, path) {
				return true
			}
		}
	}
	return false
}

// Passkeys are bound to a name: without one, or with an address, nothing counts them.
func TestPasskeysNeedAHostName(t *testing.T) {
	const keys, host = "$.assets[0].policy.console_keys", "$.console.host"
	for _, row := range []struct {
		keys session.ConsoleKeys
		host string
		bad  string
	}{
		{"", "", ""}, {"none", "", ""}, {"instead", "console.ngh.example", ""}, {"both", "console.ngh.example", ""}, {"", "console.ngh.example", ""},
		{"instead", "", keys}, {"both", "", keys}, {"always", "console.ngh.example", keys},
		{"instead", "10.40.1.5", host}, {"instead", "::1", host}, {"instead", "Console.ngh.example", host}, {"instead", "console.ngh.example:8443", host}, {"instead", "https://console.ngh.example", host},
	} {
		cfg := Config{Console: page.Settings{Listen: "10.40.1.5:8443", Host: row.host}, Assets: []Asset{{Name: "CT", Policy: Policy{ConsoleKeys: row.keys}}}}
		err := cfg.Validate()
		for _, path := range []string{keys, host} {
			if got := badField(err, path); got != (path == row.bad) {
				t.Errorf("%q at %q: refused for %s: %v", row.keys, row.host, path, got)
			}
		}
		if row.bad == host && !strings.Contains(err.Error(), "browsers bind passkeys to names") {
			t.Errorf("%q is not refused plainly: %v", row.host, err)
		}
	}
	cfg := Config{Console: page.Settings{Listen: "10.40.1.5:443", Host: "console.ngh.example", Names: []string{"other.ngh.example"}}}
	p := cfg.policy("")
	if p.Page.Origin() != "https://console.ngh.example" || p.Page.Host() != "console.ngh.example" || cfg.Console.URL() != "https://console.ngh.example" {
		t.Errorf("%q, %q, %q", p.Page.Origin(), p.Page.Host(), cfg.Console.URL())
	}
}

// The trust bundle names the passkeys, also those that were revoked.
func TestTheBundleNamesPasskeys(t *testing.T) {
	cfg := Config{Site: "NGH", Agent: "ngh-1", State: t.TempDir()}
	if _, err := (state{cfg.State}).makeIdentity(); err != nil {
		t.Fatal(err)
	}
	for n, who := range []string{"anna", "bernd"} {
		k := grant.Registered{Key: passkey.Key{ID: []byte{byte(n), 1}, Public: []byte("public")}, Since: time.Unix(1772600767, 0),
			Person: session.Person{Identity: session.Identity{Iss: "https://idp.example", Sub: who}}}
		if err := cfg.keyring().Add(k, "console.ngh.example"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := RevokePasskeys(cfg, "anna", time.Unix(1772700767, 0)); err != nil {
		t.Fatal(err)
	}
	b, err := Trust(cfg)
	if err != nil || len(b.ConsoleKeys) != 2 || b.ConsoleKeys[0].Until.IsZero() || !b.ConsoleKeys[1].Until.IsZero() || b.ConsoleKeys[1].Owner.Sub != "bernd" || b.ConsoleKeys[0].Host != "console.ngh.example" {
		t.Errorf("%+v, %v", b.ConsoleKeys, err)
	}
}
