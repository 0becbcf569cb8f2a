package session

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Issuer pins one identity provider, in one shape for agent, broker, command line and
// trust bundle.
type Issuer struct {
	URL     string   `json:"issuer" yaml:"issuer"`
	Side    Side     `json:"side" yaml:"side"`
	Domains []string `json:"domains" yaml:"domains"` // of e-mail addresses that it may name and that sign in here, lower case; without any its people are shown by subject
	// Clients maps an OAuth client id to the class of client it is. The hospital's
	// command-line client has no class here: it signs people in and approves nothing.
	Clients map[string]ClientClass `json:"clients" yaml:"clients"`
	// Login is the client id with which the CLI signs people in.
	Login string `json:"login" yaml:"login"`
	// JWKS is the key set's URL. Empty: read from the issuer's discovery document,
	// which must name the issuer's own host.
	JWKS string `json:"jwks,omitempty" yaml:"jwks"`
	// Keys is a file with the key set (JWKS), where nobody here reaches the issuer. It is
	// read again as often as keys would be fetched, and is not in the bundle.
	Keys string `json:"-" yaml:"keys"`
	// Reach is how agent and broker get there: "direct" (default); at the agent "broker", a
	// relayed TLS stream; at the broker "agent", which lets the site's agent ask.
	Reach string `json:"reach,omitempty" yaml:"reach"`
	// Vouch, at the agent, lets it ask this provider for the broker, and answer for what
	// it says.
	Vouch bool `json:"-" yaml:"vouch,omitempty"`
	// InsecureLoopback allows plain http, on loopback only.
	InsecureLoopback bool `json:"insecure_loopback,omitempty" yaml:"insecure_loopback"`
	Tokens           `yaml:",inline"`
	SignIn           `yaml:",inline"`
}

// Tokens says how an issuer's ID tokens are read.
type Tokens struct {
	// Subject is the claim that names a person; see Name. Default sub. Entra ID's sub is
	// another one for each client: there it is oid.
	Subject string `json:"subject,omitempty" yaml:"subject"`
	// Tenant is what the claim tid must be. It is needed with oid, which is unique in its
	// tenant only.
	Tenant string `json:"tenant,omitempty" yaml:"tenant"`
	// GroupsClaim is the claim that lists a person's groups; default: groups and roles.
	GroupsClaim string `json:"groups_claim,omitempty" yaml:"groups_claim"`
	Groups      Groups `json:"groups,omitzero" yaml:"groups"`
	// Algorithms are the signatures that count: RS256 (default), PS256, ES256, EdDSA.
	Algorithms []string `json:"algorithms,omitempty" yaml:"algorithms"`
	// Fresh is how long before the agent's receipt of an approval the approver may have
	// signed in, "60s" to "5m"; see FreshFor.
	Fresh string `json:"fresh,omitempty" yaml:"fresh"`
}

// Groups are the names or ids of the groups that carry the roles, as the issuer sends
// them. Empty ones have their usual names.
type Groups struct {
	Engineer string `json:"engineer,omitempty" yaml:"engineer"`
	Approver string `json:"approver,omitempty" yaml:"approver"`
	Auditor  string `json:"auditor,omitempty" yaml:"auditor"`
}

// Group is the group that carries a role.
func (t Tokens) Group(r Role) string {
	switch r {
	case Engineer:
		return cmp.Or(t.Groups.Engineer, GroupEngineers)
	case Approver:
		return cmp.Or(t.Groups.Approver, GroupApprovers)
	case Auditor:
		return cmp.Or(t.Groups.Auditor, GroupAuditors)
	}
	return ""
}

// SubjectClaim is the claim that names a person.
func (t Tokens) SubjectClaim() string { return cmp.Or(t.Subject, "sub") }

// Name is the person that the value of the subject claim names. The names of Active
// Directory are the same in any case; all others are taken byte for byte.
func (t Tokens) Name(value string) string {
	if t.Subject == "unique_name" || t.Subject == "upn" {
		return strings.ToLower(value)
	}
	return value
}

// Signatures are the algorithms that count.
func (t Tokens) Signatures() []string {
	if len(t.Algorithms) == 0 {
		return []string{"RS256"}
	}
	return t.Algorithms
}

// WebRedirect is where the issuer sends browsers back to at a broker. Each issuer has an address
// of its own, so that an answer cannot be taken for another one's (RFC 9700 section 4.4.2).
func (i Issuer) WebRedirect(broker string) string { return broker + CallbackPath + i.Door() }

// CallbackPath is where browsers come back at a broker, before the issuer's Door.
const CallbackPath = "/auth/callback/"

// Door tells the issuer from others of a broker, in an address: eight digits of its URL's hash.
func (i Issuer) Door() string {
	sum := sha256.Sum256([]byte(i.URL))
	return hex.EncodeToString(sum[:4])
}

// Ids are the client ids with which people may come, sorted: those of a class, and the
// command line's.
func (i Issuer) Ids() []string {
	ids := slices.Sorted(maps.Keys(i.Clients))
	if i.Login != "" && !slices.Contains(ids, i.Login) {
		ids = append(ids, i.Login)
	}
	return ids
}

// Agrees reports whether two entries of one issuer, for the two sides, read its tokens
// and reach its keys in the same way. Groups may differ, and how fresh a sign-in must be.
func (i Issuer) Agrees(o Issuer) bool {
	return i.URL == o.URL && i.JWKS == o.JWKS && i.Keys == o.Keys && i.Reach == o.Reach && i.InsecureLoopback == o.InsecureLoopback &&
		i.Subject == o.Subject && i.Tenant == o.Tenant && i.GroupsClaim == o.GroupsClaim &&
		slices.Equal(i.Signatures(), o.Signatures()) && slices.Equal(i.Domains, o.Domains)
}

// FreshFor is how old an approver's sign-in may be when the token that it stands behind
// comes in: auth_time against the receiver's clock, never against the token's own iat,
// which Entra ID dates back by five minutes. There auth_time is the password's time and
// a second factor comes after it, so that 3 minutes are right; elsewhere one is. A value
// that Check would refuse counts as none.
func (t Tokens) FreshFor() time.Duration {
	d, err := time.ParseDuration(t.Fresh)
	if err != nil || d < time.Second || d > MaxFresh {
		return DefaultFresh
	}
	return d
}

// Check reports what cannot be used, as *BadField with paths below at. Who asks adds
// what only they can judge.
func (i Issuer) Check(at string) error {
	var errs []error
	require := func(field string, ok bool, problem string) {
		if !ok {
			errs = append(errs, &BadField{Path: at + "." + field, Problem: problem})
		}
	}
	d, err := time.ParseDuration(i.Fresh)
	require("fresh", i.Fresh == "" || err == nil && d >= time.Second && d <= MaxFresh,
		`how old an approver's sign-in may be at its receipt looks like "60s", at most "5m"`)
	require("subject", claimName(i.SubjectClaim()) && !slices.Contains([]string{"email", "name", "preferred_username"}, i.Subject),
		"the claim that names a person is one that never changes hands, such as sub, oid or unique_name")
	require("keys", i.Keys == "" || filepath.IsAbs(i.Keys) && i.JWKS == "", "a key set's file is named by its absolute path, and instead of jwks")
	require("subject", i.JWKS == "" && i.Keys == "" || i.Subject != "" || len(i.Ids()) < 2,
		"with pinned keys nothing says whether sub is the same person for each client: name the claim that is (subject: sub, where its people say so)")
	require("tenant", i.Subject != "oid" || i.Tenant != "", "oid names a person within a tenant: pin its id, which the tokens carry as tid")
	i.SignIn.check(require)
	require("groups_claim", i.GroupsClaim == "" || claimName(i.GroupsClaim), "the claim that lists a person's groups is needed, such as groups")
	for _, a := range i.Signatures() {
		require("algorithms", slices.Contains([]string{"RS256", "PS256", "ES256", "EdDSA"}, a), fmt.Sprintf("%.20q is not RS256, PS256, ES256 or EdDSA", a))
	}
	for _, domain := range i.Domains {
		require("domains", domain != "" && !strings.ContainsAny(domain, "@ /"), "a domain is what follows the @ of an e-mail address")
	}
	return errors.Join(errs...)
}

// claimName reports whether a token's claim can have this name.
func claimName(s string) bool {
	return s != "" && len(s) <= maxClaim && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

// Safe reports whether tokens may be asked for at an address of the issuer's: https, or
// plain http on loopback where the bundle or the configuration says so.
func (i Issuer) Safe(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.Contains(address, "#") {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && i.InsecureLoopback && Loopback(u.Hostname())
}

// Asks reports whether programs of ours ask an address of the issuer's for its discovery
// document, keys or tokens: it is safe, and on the issuer's own host, on that of its pinned
// key set, or on one that the configuration names. What a discovery document says leads
// nowhere else, least of all to a machine behind ours.
func (i Issuer) Asks(address string) bool {
	u, err := url.Parse(address)
	if err != nil || !i.Safe(address) {
		return false
	}
	for _, known := range []string{i.URL, i.JWKS} {
		if own, err := url.Parse(known); err == nil && own.Host != "" && own.Scheme == u.Scheme && hostPort(own) == hostPort(u) {
			return true
		}
	}
	return slices.ContainsFunc(i.Hosts, func(host string) bool { return hostPort(&url.URL{Scheme: u.Scheme, Host: host}) == hostPort(u) })
}

// hostPort is where a URL leads: its host in lower case, and its port.
func hostPort(u *url.URL) string {
	usual := "443"
	if u.Scheme == "http" {
		usual = "80"
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), cmp.Or(u.Port(), usual))
}

// Loopback reports whether a host, without its port, is this machine.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Side says whose people an issuer knows.
type Side string

const (
	VendorSide   Side = "vendor"
	HospitalSide Side = "hospital"
)
