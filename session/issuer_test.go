package session_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/session"
)

// An entry that cannot be right is refused where it is written.
func TestEntriesThatCannotBeRight(t *testing.T) {
	for field, change := range map[string]func(*session.Issuer){
		"fresh":          func(i *session.Issuer) { i.Fresh = "6m" },
		"subject":        func(i *session.Issuer) { i.Subject = "email" },
		"subject ":       func(i *session.Issuer) { i.Subject = "preferred_username" },
		"subject  ":      func(i *session.Issuer) { i.Subject = "two words" },
		"tenant":         func(i *session.Issuer) { i.Subject = "oid" },
		"groups_claim":   func(i *session.Issuer) { i.GroupsClaim = "a\nb" },
		"algorithms":     func(i *session.Issuer) { i.Algorithms = []string{"RS256", "HS256"} },
		"algorithms ":    func(i *session.Issuer) { i.Algorithms = []string{"none"} },
		"scopes":         func(i *session.Issuer) { i.Scopes = []string{"email"} },
		"scopes ":        func(i *session.Issuer) { i.Scopes = []string{"openid", "offline_access"} },
		"parameters":     func(i *session.Issuer) { i.Parameters = map[string]string{"Nonce": "x"} },
		"parameters ":    func(i *session.Issuer) { i.Parameters = map[string]string{"redirect_uri": "https://evil.example"} },
		"response_mode":  func(i *session.Issuer) { i.ResponseMode = "fragment" },
		"redirect.host":  func(i *session.Issuer) { i.Redirect.Host = "evil.example" },
		"redirect.path":  func(i *session.Issuer) { i.Redirect.Path = "/{x}" },
		"redirect.ports": func(i *session.Issuer) { i.Redirect.Ports = []int{0} },
		"domains":        func(i *session.Issuer) { i.Domains = []string{"@northfield.example"} },
	} {
		i := session.Issuer{URL: "https://idp.example"}
		if err := i.Check("$"); err != nil {
			t.Fatal(err)
		}
		change(&i)
		var bad *session.BadField
		if err := i.Check("$"); !errors.As(err, &bad) || bad.Path != "$."+strings.TrimSpace(field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// Active Directory knows one person by many spellings; nobody else does.
func TestNamesOfActiveDirectory(t *testing.T) {
	for subject, want := range map[string]string{"": "Anna", "oid": "Anna", "unique_name": "anna", "upn": "anna"} {
		if got := (session.Tokens{Subject: subject}).Name("Anna"); got != want {
			t.Errorf("%q: %q", subject, got)
		}
	}
}

// What a discovery document names is asked only where the configuration has its host.
func TestOnlyConfiguredHostsAreAsked(t *testing.T) {
	i := session.Issuer{URL: "https://login.meridian.example/tenant", JWKS: "https://keys.meridian.example/jwks",
		SignIn: session.SignIn{Hosts: []string{"oauth2.meridian.example", "10.1.2.3:8443"}}}
	for _, address := range []string{"https://login.meridian.example/token", "https://LOGIN.meridian.example:443/token", "https://keys.meridian.example/jwks",
		"https://oauth2.meridian.example/token", "https://10.1.2.3:8443/token"} {
		if !i.Asks(address) {
			t.Errorf("%s is not asked", address)
		}
	}
	for _, address := range []string{"", "https://", "https://evil.example/token", "https://login.meridian.example:8443/token", "https://login.meridian.example.evil.example/", "https://10.1.2.3/token",
		"https://169.254.169.254/latest/meta-data/", "https://[fd00:ec2::254]/", "https://127.0.0.1/", "https://localhost/", "https://[::1]/", "https://0.0.0.0/", "https://[::ffff:127.0.0.1]/",
		"https://0x7f000001/", "https://2130706433/", "https://017700000001/", "https://127.1/", "https://10.0.0.1/", "https://172.16.0.1/", "https://192.168.0.1/", "https://[fe80::1%25eth0]/",
		"https://login.meridian.example@10.0.0.1/", "https://10.0.0.1#login.meridian.example", "https://10.0.0.1\\@login.meridian.example/", "http://login.meridian.example/token",
		"http://oauth2.meridian.example/token", "ftp://login.meridian.example/", "//login.meridian.example/", "login.meridian.example", "https://redis:6379/", "https://metadata.google.internal/"} {
		if i.Asks(address) {
			t.Errorf("%s is asked", address)
		}
	}
	for _, host := range []string{"", "https://x.example", "x.example/", "x.example?", "a@x.example", "x y", "x.example#"} {
		bad := i
		bad.Hosts = []string{host}
		if err := bad.Check("$"); err == nil || !strings.Contains(err.Error(), "hosts") {
			t.Errorf("the host %q: %v", host, err)
		}
	}
	if err := i.Check("$"); err != nil {
		t.Error(err)
	}
}
