package session

import (
	"net"
	"net/url"
	"strings"
	"time"
)

// Issuer pins one identity provider.
type Issuer struct {
	URL     string   `json:"issuer" yaml:"issuer"`
	Side    Side     `json:"side" yaml:"side"`
	Domains []string `json:"domains" yaml:"domains"` // e-mail domains that sign in here, lower case
	// Clients maps an OAuth client id to the class of client it is. The hospital's
	// command-line client has no class here: it signs people in and approves nothing.
	Clients map[string]ClientClass `json:"clients" yaml:"clients"`
	// Login is the client id with which the CLI signs people in.
	Login string `json:"login" yaml:"login"`
	// JWKS is the key set's URL. Empty: read from the issuer's discovery document,
	// which must name the issuer's own host.
	JWKS string `json:"jwks,omitempty" yaml:"jwks"`
	// Reach is how the agent gets there: "direct", or "broker" for a relayed TLS stream.
	Reach string `json:"reach,omitempty" yaml:"reach"`
	// Fresh is how long before the agent's receipt of an approval the approver may have
	// signed in, "60s" to "5m"; see FreshFor.
	Fresh string `json:"fresh,omitempty" yaml:"fresh"`
	// InsecureLoopback allows plain http, on loopback only.
	InsecureLoopback bool `json:"insecure_loopback,omitempty" yaml:"insecure_loopback"`
}

// FreshFor is how old an approver's sign-in may be when the token that it stands behind
// comes in: auth_time against the receiver's clock, never against the token's own iat,
// which Entra ID dates back by five minutes. There auth_time is the password's time and
// a second factor comes after it, so that 3 minutes are right; elsewhere one is. A value
// that Check would refuse counts as none.
func (i Issuer) FreshFor() time.Duration {
	d, err := time.ParseDuration(i.Fresh)
	if err != nil || d < time.Second || d > MaxFresh {
		return DefaultFresh
	}
	return d
}

// Check reports what cannot be used, as *BadField with paths below at. Who asks adds
// what only they can judge.
func (i Issuer) Check(at string) error {
	if d, err := time.ParseDuration(i.Fresh); i.Fresh != "" && (err != nil || d < time.Second || d > MaxFresh) {
		return &BadField{Path: at + ".fresh", Problem: `how old an approver's sign-in may be at its receipt looks like "60s", at most "5m"`}
	}
	return nil
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
