package link

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/sallyport/sallyport/session"
)

const uriStart = "spiffe://sallyport/site/"

// Peer is an agent as its certificate proves it.
type Peer struct {
	Site     string
	Agent    string
	Identity string    // fingerprint of the identity key with which it enrolled
	Key      [32]byte  // SHA-256 of the certificate's public key
	Issued   time.Time // when the CA signed, in whole seconds
	Expires  time.Time
}

// AgentURI is the name of an agent in its certificate.
func AgentURI(site, agent string) *url.URL {
	return &url.URL{Scheme: "spiffe", Host: "sallyport", Path: "/site/" + site + "/agent/" + agent}
}

// parseAgentURI reads what AgentURI writes, and nothing else.
func parseAgentURI(s string) (site, agent string, err error) {
	rest, ok := strings.CutPrefix(s, uriStart)
	site, agent, found := strings.Cut(rest, "/agent/")
	if !ok || !found || !session.ValidName(site) || !session.ValidName(agent) {
		return "", "", fmt.Errorf("%.200q does not name an agent", s)
	}
	return site, agent, nil
}

// PeerOf reads an agent's certificate whose chain has been verified.
func PeerOf(c *x509.Certificate) (Peer, error) {
	if len(c.URIs) != 1 || len(c.DNSNames)+len(c.IPAddresses)+len(c.EmailAddresses) != 0 {
		return Peer{}, errors.New("an agent's certificate names one agent and nothing else")
	}
	site, agent, err := parseAgentURI(c.URIs[0].String())
	if err != nil {
		return Peer{}, err
	}
	if !isP256(c.PublicKey) {
		return Peer{}, errors.New("an agent's certificate has an ECDSA P-256 key")
	}
	return Peer{
		Site: site, Agent: agent, Identity: c.Subject.SerialNumber,
		Key:    sha256.Sum256(c.RawSubjectPublicKeyInfo),
		Issued: c.NotBefore.Add(Backdate), Expires: c.NotAfter,
	}, nil
}

func isP256(key any) bool {
	k, ok := key.(*ecdsa.PublicKey)
	return ok && k.Curve == elliptic.P256()
}

// baseTLS is what both sides share.
func baseTLS() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{ALPN},
		SessionTicketsDisabled: true,
		// Streams carry SSH packets, which are written whole: short records at a stream's
		// beginning and after each pause would only cut them.
		DynamicRecordSizingDisabled: true,
	}
}

func checkState(cs tls.ConnectionState) error {
	switch {
	case cs.NegotiatedProtocol != ALPN:
		return errors.New("the peer does not speak " + ALPN)
	case cs.DidResume:
		return errors.New("a resumed connection")
	}
	return nil
}

// verifyAgent checks a client certificate; none at all is nil, nil.
func verifyAgent(cs tls.ConnectionState, roots *x509.CertPool, now time.Time) (*Peer, error) {
	if err := checkState(cs); err != nil {
		return nil, err
	}
	if len(cs.PeerCertificates) == 0 {
		return nil, nil
	}
	leaf := cs.PeerCertificates[0]
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, err
	}
	p, err := PeerOf(leaf)
	if err != nil {
		return nil, err
	}
	return &p, nil
}
