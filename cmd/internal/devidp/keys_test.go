package devidp

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
)

func claimsOf(t *testing.T, compact string) map[string]any {
	t.Helper()
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		t.Fatalf("not a compact token: %.40q", compact)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(raw, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// verifies reports whether a relying party that fetches the keys now accepts the token.
func (w *world) verifies(compact string) bool {
	ctx := context.Background()
	rp, err := oidc.NewProvider(ctx, w.Issuer())
	if err != nil {
		w.Fatal(err)
	}
	_, err = rp.VerifierContext(ctx, &oidc.Config{ClientID: "sallyport-console", Now: w.clock}).Verify(ctx, compact)
	return err == nil
}

func TestARestartKeepsTheKey(t *testing.T) {
	w := start(t)
	defer http.DefaultClient.CloseIdleConnections()
	maya, _ := w.hinted("m.okafor@northfield.example")
	fresh := w.cfg
	fresh.KeyFile = filepath.Join(t.TempDir(), "key")
	other, err := New(fresh)
	if err != nil {
		t.Fatal(err)
	}
	again, err := New(fresh)
	if err != nil {
		t.Fatal(err)
	}
	if again.KeyID() != other.KeyID() || other.KeyID() == w.KeyID() {
		t.Error("a restart changed the signing key, or two issuers share one")
	}
	info, err := os.Stat(fresh.KeyFile)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v", info, err)
	}
	for signer, good := range map[*Provider]bool{w.Provider: true, other: false} {
		token, err := signer.Sign(nil, w.Claims(maya, "sallyport-console", "n"))
		if err != nil || w.verifies(token) != good {
			t.Errorf("a token of the right issuer's key: %v, verifies: %v, %v", good, !good, err)
		}
	}
}

// Evil tokens come out as evil as they were ordered.
func TestSignSignsLies(t *testing.T) {
	w := start(t)
	defer http.DefaultClient.CloseIdleConnections()
	maya, _ := w.hinted("m.okafor@northfield.example")
	claims := w.Claims(maya, "sallyport-console", "n")
	for name, header := range map[string]map[string]any{
		"none":        {"alg": "none", "kid": w.KeyID()},
		"HS256":       {"alg": "HS256", "kid": w.KeyID()},
		"unknown kid": {"alg": "RS256", "kid": "nobody"},
		"ES256 lie":   {"alg": "ES256", "kid": w.KeyID()},
	} {
		s, err := w.Sign(header, claims)
		if err != nil {
			t.Fatal(err)
		}
		if w.verifies(s) {
			t.Errorf("%s verifies", name)
		}
		if claimsOf(t, s)["email"] != maya.Email {
			t.Errorf("%s lost its claims", name)
		}
	}
}

func TestConfigurationsThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage")
	if err := os.WriteFile(garbage, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(dir, "keys")
	if err := os.WriteFile(keys, testKeys(), 0o600); err != nil {
		t.Fatal(err)
	}
	good := func() Config {
		return Config{
			Issuer: "http://127.0.0.1:1", KeyFile: keys, People: People(Vendor),
			Clients: []Client{{ID: "sallyport-cli", Native: true}},
		}
	}
	if _, err := New(good()); err != nil {
		t.Fatal(err)
	}
	for name, bend := range map[string]func(*Config){
		"http abroad":        func(c *Config) { c.Issuer = "http://idp.meridian.example" },
		"slash at the end":   func(c *Config) { c.Issuer += "/" },
		"a query":            func(c *Config) { c.Issuer += "?x" },
		"no scheme":          func(c *Config) { c.Issuer = "127.0.0.1:1" },
		"no people":          func(c *Config) { c.People = nil },
		"the same sub":       func(c *Config) { c.People = append(c.People, c.People[0]) },
		"no clients":         func(c *Config) { c.Clients = nil },
		"the same client":    func(c *Config) { c.Clients = append(c.Clients, c.Clients[0]) },
		"web, no redirect":   func(c *Config) { c.Clients = []Client{{ID: "web"}} },
		"native, whole URL":  func(c *Config) { c.Clients[0].Redirects = []string{"http://127.0.0.1/cb"} },
		"garbage as keys":    func(c *Config) { c.KeyFile = garbage },
		"a directory as key": func(c *Config) { c.KeyFile = dir },
		"no such directory":  func(c *Config) { c.KeyFile = filepath.Join(dir, "x", "y") },
	} {
		c := good()
		bend(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestPersonasAreDistinctAndComplete(t *testing.T) {
	keys := map[string]string{}
	for _, p := range Personas() {
		keys[p.Key] = p.Email
		if len(p.Groups) != 1 || p.Name == "" || p.Title == "" {
			t.Errorf("%s is incomplete", p.Key)
		}
	}
	if len(keys) != 5 || len(People(Vendor)) != 2 || len(People(Hospital)) != 3 {
		t.Errorf("personas: %v", keys)
	}
}

// Whatever the redirect parameter holds, an accepted one is a loopback address that
// every URL parser reads the same way.
func FuzzLoopbackRedirect(f *testing.F) {
	for _, s := range []string{
		"http://127.0.0.1:40001/callback", "http://[::1]:1/", "http://127.0.0.1:65535/a/b-c_d.e~f",
		"http://127.0.0.1:80@evil.example/", `http://127.0.0.1:80\@evil/`, "http://127.0.0.1:1/%2e%2e", "http://[::1%25lo]:1/", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		path, ok := loopbackPath(raw)
		if !ok {
			return
		}
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatalf("accepted %q, which is no URL: %v", raw, err)
		}
		if h := u.Hostname(); u.Scheme != "http" || h != "127.0.0.1" && h != "::1" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != path || u.String() != raw {
			t.Fatalf("accepted %q: %#v", raw, u)
		}
	})
}
