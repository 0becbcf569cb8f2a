// Package oldtls is the one place where TLS of the past is allowed: TLS 1.0 and 1.1, RSA key
// exchange, and SHA-1 in what is signed under those, for consoles that know nothing newer.
// It changes one configuration, never what the process does elsewhere.
package oldtls

import (
	"crypto/tls"
	"slices"
	"strings"
)

// Allow lets a client's configuration take TLS of the past. What is newer is still preferred,
// where the server has it. RC4 stays out, and so does a TLS 1.2 that signs with SHA-1 alone:
// Go switches that for the whole process, and that is not done.
func Allow(c *tls.Config) {
	c.MinVersion = tls.VersionTLS10
	c.CipherSuites = nil
	for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if !strings.Contains(suite.Name, "RC4") {
			c.CipherSuites = append(c.CipherSuites, suite.ID)
		}
	}
}

// Used says in words what of the past a connection uses, or nothing.
func Used(s tls.ConnectionState) string {
	var of []string
	if s.Version < tls.VersionTLS12 {
		of = append(of, tls.VersionName(s.Version))
	}
	name := tls.CipherSuiteName(s.CipherSuite)
	if strings.HasPrefix(name, "TLS_RSA_") {
		of = append(of, "RSA key exchange")
	}
	if strings.HasSuffix(name, "_SHA") || s.Version < tls.VersionTLS12 {
		of = append(of, "SHA-1")
	}
	if strings.Contains(name, "3DES") {
		of = append(of, "3DES")
	}
	return strings.Join(of, ", ")
}
