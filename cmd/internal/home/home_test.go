package home

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/session"
)

func at(t *testing.T) Home {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a home")
	h, err := Find(func(name string) string { return map[string]string{"SALLYPORT_HOME": dir}[name] })
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func bundle(seed byte) session.Trust {
	raw := make([]byte, ed25519.SeedSize)
	raw[0] = seed
	return session.Trust{V: 1, Site: "NGH", Agent: "ngh", Identity: session.KeyLine(ed25519.NewKeyFromSeed(raw).Public().(ed25519.PublicKey)), Issuers: []session.Issuer{
		{URL: "https://idp.meridian.example", Side: session.VendorSide, Domains: []string{"meridian.example"}, Login: "sallyport-cli", Clients: map[string]session.ClientClass{"sallyport-cli": session.CLI}}}}
}

func TestWhereHomeIs(t *testing.T) {
	for want, env := range map[string]map[string]string{
		"/a":                   {"SALLYPORT_HOME": "/a", "XDG_CONFIG_HOME": "/x", "HOME": "/h"},
		"/x/sallyport":         {"XDG_CONFIG_HOME": "/x", "HOME": "/h"},
		"/h/.config/sallyport": {"HOME": "/h"},
	} {
		h, err := Find(func(name string) string { return env[name] })
		if err != nil || h.Dir() != want {
			t.Errorf("%v: %q, %v", env, h.Dir(), err)
		}
	}
	for _, bad := range []string{"", "/a\nb", "/a\"b", "/a${HOME}"} {
		if h, err := Find(func(name string) string { return map[string]string{"SALLYPORT_HOME": bad}[name] }); err == nil {
			t.Errorf("%q became %q", bad, h.Dir())
		}
	}
}

func TestSecretsAreTheOwnersAlone(t *testing.T) {
	h := at(t)
	if err := h.SaveSession(api.Login{Token: "secret"}); err != nil {
		t.Fatal(err)
	}
	line, err := h.NewKey(Key{Request: session.ID{1}.Request(), Asset: "A", Services: []string{"s"}})
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(h.Dir(), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if want := map[bool]fs.FileMode{true: 0o700, false: 0o600}[d.IsDir()]; err == nil && info.Mode().Perm() != want {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		if strings.HasPrefix(d.Name(), ".") {
			t.Errorf("%s was left behind", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := h.Keys()
	if err != nil || len(keys) != 1 {
		t.Fatalf("keys %v, %v", keys, err)
	}
	data, err := os.ReadFile(keys[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(data)
	if err != nil || strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))) != line {
		t.Fatalf("the file does not hold the key of %q: %v", line, err)
	}
	if err := h.DropKey(session.ID{1}.Request()); err != nil {
		t.Fatal(err)
	}
	if err := h.DropKey("../session"); err == nil {
		t.Fatal("a name outside keys/ was accepted")
	}
	if left, _ := os.ReadDir(h.Path("keys")); len(left) != 0 {
		t.Fatalf("left behind: %v", left)
	}
}

func TestKeysComeNewestFirst(t *testing.T) {
	h := at(t)
	for i := range 4 {
		if _, err := h.NewKey(Key{Request: session.ID{byte(i)}.Request(), Created: time.Unix(int64(i), 0)}); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := h.Keys()
	if err != nil || len(keys) != 4 || keys[0].Request != (session.ID{3}).Request() {
		t.Fatalf("%v, %v", keys, err)
	}
}

func TestAnotherKeyIsNotTakenSilently(t *testing.T) {
	h := at(t)
	if err := h.ImportTrust(bundle(1), false); err != nil {
		t.Fatal(err)
	}
	if err := h.ImportTrust(bundle(2), false); session.KindOf(err) != session.Refused {
		t.Fatalf("another key was answered %v", err)
	}
	all, err := h.Trust()
	if err != nil || len(all) != 1 || all[0].Identity != bundle(1).Identity {
		t.Fatalf("%v, %v", all, err)
	}
	if err := h.ImportTrust(bundle(2), true); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.Path("trust.d", "x.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Trust(); err == nil {
		t.Fatal("a broken anchor was ignored")
	}
}

func TestTheDomainPicksTheIssuer(t *testing.T) {
	other := bundle(3)
	other.Site = "LHI"
	other.Issuers[0].URL = "https://idp.elsewhere.example"
	one := []session.Trust{bundle(1)}
	if i, err := IssuerFor(one, "Jana@MERIDIAN.example"); err != nil || i.URL != "https://idp.meridian.example" {
		t.Fatalf("%v, %v", i, err)
	}
	for _, email := range []string{"", "jana", "jana@", "jana@evil.example", "jana@meridian.example.evil.example", "jana@sub.meridian.example"} {
		if i, err := IssuerFor(one, email); err == nil {
			t.Errorf("%q signs in at %s", email, i.URL)
		}
	}
	if _, err := IssuerFor(append(one, other), "jana@meridian.example"); session.KindOf(err) != session.Refused {
		t.Errorf("two bundles disagree and the answer is %v", err)
	}
}

func TestBrokerAddresses(t *testing.T) {
	for in, want := range map[string]string{"https://Access.example/": "https://access.example", "http://127.0.0.1:8080": "http://127.0.0.1:8080", "http://[::1]:1": "http://[::1]:1"} {
		if got, err := CheckBroker(in); err != nil || got != want {
			t.Errorf("%q is %q, %v", in, got, err)
		}
	}
	for _, bad := range []string{"", "access.example", "http://access.example", "https://a/b", "https://u:p@a", "ftp://a", "https://a?x", "http://127.0.0.1.evil.example"} {
		if got, err := CheckBroker(bad); err == nil {
			t.Errorf("%q became %q", bad, got)
		}
	}
}

func FuzzParseTrust(f *testing.F) {
	good, err := json.Marshal(bundle(1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, cut := range []string{`{}`, `{"v":1}`, string(good) + `{}`, strings.Replace(string(good), `"v":1`, `"v":1,"v2":2`, 1), strings.Replace(string(good), "https", "http", 1)} {
		f.Add([]byte(cut))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := ParseTrust(data)
		if err != nil {
			var e *session.Error
			if !errors.As(err, &e) || e.Next == "" {
				t.Fatalf("refused without a way on: %v", err)
			}
			return
		}
		if _, err := session.ParseKeyLine(got.Identity); err != nil || len(got.Issuers) == 0 || !session.ValidName(got.Site) {
			t.Fatalf("accepted %q", data)
		}
	})
}
