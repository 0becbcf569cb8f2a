package setup

import (
	"net/url"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/session"
)

// Products are the identity providers that have a page in deploy/identity; other is any
// that sends sub, email, groups and auth_time as everybody knows them.
func Products() []string { return []string{"other", "entra", "adfs", "keycloak", "okta", "ping"} }

// product is what an issuer's entry says more because of the product behind it, as on the
// product's page.
func product(name, issuer string) string {
	lines := map[string][]string{
		"entra": {"subject: oid", "tenant: " + scalar(tenant(issuer)), "groups_claim: roles", "fresh: 3m", "redirect: {host: localhost}"},
		"adfs": {"subject: unique_name", "groups_claim: group", "scopes: [openid, allatclaims]", "response_mode: form_post",
			"redirect: {ports: [8400, 8401]}", "fresh: 2m"},
		"keycloak": {"subject: sub", "groups_claim: groups", "redirect: {ports: [8400, 8401]}"},
		"okta":     {"subject: sub", "groups_claim: groups", "scopes: [openid, email, profile, groups]", "redirect: {ports: [8400, 8401, 8402]}"},
		"ping":     {"subject: sub", "groups_claim: memberOf", "redirect: {ports: [8400, 8401]}"},
	}[name]
	var b strings.Builder
	for _, l := range lines {
		b.WriteString("  " + l + "\n")
	}
	return b.String()
}

// tenant is Entra ID's in an issuer's URL.
func tenant(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return ""
	}
	id, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	return id
}

// Issuer are the questions about one side's identity provider.
func Issuer(side session.Side, whose, example string) []Question {
	key := string(side) + "_"
	return []Question{
		{Key: key + "issuer", Ask: "Address of " + whose + " identity provider", Why: "Its tokens count, and nobody else's. It is the issuer as its discovery document spells it, such as " + example + ".", Wrong: WrongURL},
		{Key: key + "product", Ask: "Which product is it (" + strings.Join(Products(), ", ") + ")", Why: "Each product spells a person and a group in its own way; deploy/identity has a page for each.",
			Usual: Usually("other"), Wrong: func(s string) string {
				if slices.Contains(Products(), s) {
					return ""
				}
				return "it is one of " + strings.Join(Products(), ", ")
			}},
		{Key: key + "domain", Ask: "Domain of " + whose + " e-mail addresses", Why: "It leads people to their sign-in, and an identity provider may name nobody else's people. Several: with commas."},
		{Key: key + "cli", Ask: "Client id of the command line there", Why: "Registered for Sallyport alone: tokens of this client count here.", Usual: Usually("sallyport-cli"), Quiet: true},
	}
}

// Inside asks whether the hospital's provider can be reached from the hospital only. Broker
// and agent must be told the same.
func Inside() Question {
	return Question{Key: "inside", Ask: "Is the hospital's identity provider reached from inside the hospital only (yes or no)",
		Why:   "Such as AD FS without a way in. The site's agent then asks it for the broker, so that people can sign in there; both sides say the same.",
		Usual: Usually("no"), Wrong: func(s string) string {
			if s == "yes" || s == "no" {
				return ""
			}
			return "yes or no"
		}}
}

// Redirect is where a product sends people's own machines back to.
func Redirect(name string) string {
	switch name {
	case "entra":
		return "http://localhost/cb"
	case "adfs", "keycloak", "ping":
		return "http://127.0.0.1:8400/cb and http://127.0.0.1:8401/cb"
	case "okta":
		return "http://127.0.0.1:8400/cb, http://127.0.0.1:8401/cb and http://127.0.0.1:8402/cb"
	}
	return "http://127.0.0.1/cb (any port)"
}

// Scopes are what its clients ask for.
func Scopes(name string) string {
	switch name {
	case "adfs":
		return "openid allatclaims"
	case "okta":
		return "openid email profile groups"
	}
	return "openid email profile"
}

// WrongURL says what is wrong with an address of the web.
func WrongURL(s string) string {
	u, err := url.Parse(s)
	if err == nil && u.Host != "" && u.User == nil && (u.Scheme == "https" || u.Scheme == "http" && session.Loopback(u.Hostname())) {
		return ""
	}
	return "an address looks like https://idp.example.org"
}

// WrongName says what is wrong with a name of ours.
func WrongName(s string) string {
	if session.ValidName(s) {
		return ""
	}
	return "a name has 1 to 64 letters, digits and inner hyphens"
}
