package agent

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent/console/page"
	"github.com/sallyport/sallyport/agent/doctor"
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

// The doctor says who signs in on the page, and what has to be registered elsewhere for it.
func TestTheDoctorSaysHowPeopleSignIn(t *testing.T) {
	cfg := Config{State: t.TempDir(), Console: page.Settings{Listen: "10.40.1.5:8443"}}
	says := func(result doctor.Result, words ...string) {
		t.Helper()
		c := signInCheck(cfg)
		for _, w := range words {
			if c.Result != result || !strings.Contains(c.Says, w) || (result == doctor.Fail) != (c.Next != "") {
				t.Errorf("%+v, want %v and %q", c, result, w)
			}
		}
	}
	says(doctor.OK, "PIN alone", "nobody approves")
	cfg.Console.SignIn.Client = "agents-page"
	says(doctor.Fail, "No issuer of the hospital's has the client agents-page")
	cfg.Issuers = []session.Issuer{{URL: "https://idp.ngh.example", Side: session.HospitalSide, Clients: map[string]session.ClientClass{"agents-page": session.Console}}}
	says(doctor.OK, "https://idp.ngh.example", "https://10.40.1.5:8443/cb", "no passkeys")
	cfg.Console.Host = "console.ngh.example"
	k := grant.Registered{Key: passkey.Key{ID: []byte{1}, Public: []byte("public")}, Since: time.Unix(1772600767, 0), Person: session.Person{Identity: session.Identity{Iss: "https://idp.ngh.example", Sub: "anna"}}}
	if err := cfg.keyring().Add(k, "console.ngh.example"); err != nil {
		t.Fatal(err)
	}
	says(doctor.OK, "bound to console.ngh.example; 1 of 1")
	if _, err := RevokePasskeys(cfg, "anna", time.Unix(1772700767, 0)); err != nil {
		t.Fatal(err)
	}
	says(doctor.OK, "https://console.ngh.example:8443/cb", "0 of 1")
	if err := os.WriteFile(filepath.Join(cfg.State, passkeysFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	says(doctor.Fail, "cannot be read")
}
