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
