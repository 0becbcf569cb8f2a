package session

import (
	"encoding/hex"
	"strings"
)

// Certificate is how a console proved to the agent who it is, when a service of a session
// connected to it last.
type Certificate struct {
	Service string `json:"service"`
	SHA256  string `json:"sha256"` // of the certificate, 64 hex digits
	Known   Known  `json:"known"`
	// Old is what of its TLS is of the past, in words: "TLS 1.0, RSA key exchange"; "": nothing.
	Old string `json:"old_tls,omitempty"`
}

// Known says by what a certificate was known.
type Known string

// How certificates are known.
const (
	KnownPinned  Known = "pinned"  // the agent's configuration names it
	KnownHeld    Known = "held"    // the console showed it first, in an earlier connection
	KnownFirst   Known = "first"   // it is held from now on
	KnownRefused Known = "refused" // another is pinned or held: nothing was sent
)

// Valid reports whether the certificate is one that an agent can tell of.
func (c Certificate) Valid() bool {
	digest, err := hex.DecodeString(c.SHA256)
	return ValidName(c.Service) && err == nil && len(digest) == 32 && c.SHA256 == strings.ToLower(c.SHA256) && c.Known.Words() != "" &&
		len(c.Old) <= MaxSaid
}

// Words are what is said of the certificate: "console-rdp showed the certificate that the
// hospital has pinned, sha256:..., over TLS of the past (TLS 1.0)".
func (c Certificate) Words() string {
	words := c.Service + " showed " + c.Known.Words() + " (sha256:" + c.SHA256 + ")"
	if c.Old != "" {
		words += ", over TLS of the past (" + c.Old + ")"
	}
	return words
}

// Words are what is said of the certificate, after "the console showed".
func (k Known) Words() string {
	switch k {
	case KnownPinned:
		return "the certificate that the hospital has pinned"
	case KnownHeld:
		return "the certificate that it showed first, which the agent holds"
	case KnownFirst:
		return "its certificate for the first time, which the agent holds from now on"
	case KnownRefused:
		return "another certificate than the known one, and was refused"
	}
	return ""
}
