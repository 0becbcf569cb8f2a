package attach

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"time"
)

// innerProtocol is what both sides of the inner TLS ask for by ALPN.
const innerProtocol = "sallyport-inner/1"

// InnerServer is the agent's side of the inner TLS. Its certificate says nothing but its
// key: who dials knows that from the hospital, not from any authority.
func InnerServer(identity ed25519.PrivateKey) (*tls.Config, error) {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)} // RFC 5280 section 4.1.2.5: without an end
	der, err := x509.CreateCertificate(rand.Reader, template, template, identity.Public(), identity)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: identity}},
		MinVersion:   tls.VersionTLS13, NextProtos: []string{innerProtocol}, SessionTicketsDisabled: true,
	}, nil
}

// InnerClient is the other side, which talks to the owner of that key and nobody else.
func InnerClient(identity ed25519.PublicKey) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{innerProtocol},
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection holds the key against the hospital's word
		VerifyConnection: func(cs tls.ConnectionState) error {
			key, ok := cs.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
			if !ok || subtle.ConstantTimeCompare(key, identity) != 1 || cs.NegotiatedProtocol != innerProtocol {
				return errors.New("this is not the hospital's agent")
			}
			return nil
		},
	}
}
