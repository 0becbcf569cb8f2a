package fleet

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

const (
	caTime   = 10 * 365 * 24 * time.Hour
	nodeTime = 30 * 24 * time.Hour
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
	if err := os.MkdirAll(dir, 0o700); err != nil {
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
	err := once(path, 0o600, func() ([]byte, error) {
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
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the CA's key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s may be read by others: its mode must be 0600", path)
	}
	der, err := readPEM(path, "PRIVATE KEY")
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
	err := once(path, 0o644, func() ([]byte, error) {
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
	der, err := readPEM(path, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return cert, nil
}

// once writes a file that does not exist yet, whole and durable or not at all.
func once(path string, mode fs.FileMode, content func() ([]byte, error)) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	b, err := content()
	if err != nil {
		return err
	}
	tmp, err := writeTemp(path, mode, b)
	if err != nil {
		return err
	}
	defer os.Remove(tmp)
	// A link, unlike a rename, never replaces what another process was quicker to make.
	if err := os.Link(tmp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func writeTemp(path string, mode fs.FileMode, b []byte) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return "", err
	}
	err = errors.Join(f.Chmod(mode), writeAll(f, b), f.Sync(), f.Close())
	if err != nil {
		_ = os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

func writeAll(f *os.File, b []byte) error {
	_, err := f.Write(b)
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func readPEM(path, kind string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(b)
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
