package fleet

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"path/filepath"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
	"github.com/sallyport/sallyport/session/link"
)

// CA is the broker's private certificate authority. It names nodes and agents to
// each other and nothing to anybody else. Safe for concurrent use.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	now  func() time.Time
}

// LoadCA reads ca.key and ca.pem of a state directory and makes what is missing.
// Several processes may do so at once; all get the same CA. A key that others may
// read is refused.
func LoadCA(dir string, now func() time.Time) (*CA, error) {
	if err := durable.MakeDir(dir); err != nil {
		return nil, fmt.Errorf("make the CA's directory: %w", err)
	}
	key, err := loadKey(filepath.Join(dir, "ca.key"))
	if err != nil {
		return nil, err
	}
	cert, err := loadCert(filepath.Join(dir, "ca.pem"), key, now())
	if err != nil {
		return nil, err
	}
	if !key.PublicKey.Equal(cert.PublicKey) || !cert.IsCA {
		return nil, fmt.Errorf("%s: ca.pem and ca.key do not belong together", dir)
	}
	return &CA{cert: cert, key: key, now: now}, nil
}

func loadKey(path string) (*ecdsa.PrivateKey, error) {
	err := durable.Once(path, 0o600, func() ([]byte, error) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
	})
	if err != nil {
		return nil, fmt.Errorf("make the CA's key: %w", err)
	}
	text, err := durable.ReadPrivate(path, maxPEM)
	if err != nil {
		return nil, fmt.Errorf("read the CA's key: %w", err)
	}
	der, err := onePEM(text, path, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%s is not an ECDSA P-256 key", path)
	}
	return key, nil
}

func loadCert(path string, key *ecdsa.PrivateKey, now time.Time) (*x509.Certificate, error) {
	err := durable.Once(path, 0o644, func() ([]byte, error) {
		t := &x509.Certificate{
			Subject:               pkix.Name{CommonName: "Sallyport link CA"},
			NotBefore:             now.Add(-link.Backdate),
			NotAfter:              now.Add(caTime),
			IsCA:                  true,
			BasicConstraintsValid: true,
			MaxPathLenZero:        true,
			KeyUsage:              x509.KeyUsageCertSign,
		}
		der, err := sign(t, t, &key.PublicKey, key)
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), err
	})
	if err != nil {
		return nil, fmt.Errorf("make the CA's certificate: %w", err)
	}
	text, err := durable.Read(path, maxPEM)
	if err != nil {
		return nil, fmt.Errorf("read the CA's certificate: %w", err)
	}
	der, err := onePEM(text, path, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return cert, nil
}

func onePEM(text []byte, path, kind string) ([]byte, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != kind || len(rest) != 0 {
		return nil, fmt.Errorf("%s does not hold one %s", path, kind)
	}
	return block.Bytes, nil
}

func sign(t, parent *x509.Certificate, pub any, key *ecdsa.PrivateKey) ([]byte, error) {
	serial := make([]byte, 16)
	_, _ = rand.Read(serial)
	serial[0] &= 0x7f
	t.SerialNumber = new(big.Int).SetBytes(serial)
	return x509.CreateCertificate(rand.Reader, t, parent, pub, key)
}

// Roots is a pool of the CA alone.
func (ca *CA) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return pool
}

// Fingerprint is how join tokens name the CA: SHA-256 of its certificate, hex.
func (ca *CA) Fingerprint() string { return link.CAFingerprint(ca.cert) }

// PEM is the CA's certificate.
func (ca *CA) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})
}

// Node issues a server certificate for a node's name, with the CA in its chain. It
// lasts 30 days.
func (ca *CA) Node(name string, ips []net.IP) (*tls.Certificate, error) {
	if !session.ValidName(name) {
		return nil, session.Errorf(session.Invalid, "%.80q cannot name a broker node.", name)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the node's key: %w", err)
	}
	now := ca.now()
	der, err := sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		DNSNames:    []string{name},
		IPAddresses: ips,
		NotBefore:   now.Add(-link.Backdate),
		NotAfter:    now.Add(nodeTime),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, ca.cert, &key.PublicKey, ca.key)
	if err != nil {
		return nil, fmt.Errorf("sign the node's certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der, ca.cert.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// agent issues an agent's certificate for 24 h. The identity key's fingerprint
// stands in the subject, so that the agent cannot show another one later.
func (ca *CA) agent(site, agent, identity string, pub any) (link.Chain, error) {
	now := ca.now()
	der, err := sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: agent, SerialNumber: identity},
		URIs:        []*url.URL{link.AgentURI(site, agent)},
		NotBefore:   now.Add(-link.Backdate),
		NotAfter:    now.Add(link.CertificateTime),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, ca.cert, pub, ca.key)
	if err != nil {
		return link.Chain{}, fmt.Errorf("sign the agent's certificate: %w", err)
	}
	return link.Chain{Certificate: der, CA: ca.cert.Raw}, nil
}
