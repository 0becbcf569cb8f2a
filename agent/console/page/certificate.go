package page

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"slices"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
)

// Certificate is the page's, as the settings lead to it, or one that the agent made and
// keeps in the file kept. make says whether it may be made now.
func (s Settings) certificate(kept string, now time.Time, make bool) (tls.Certificate, error) {
	if s.TLS.Certificate != "" {
		return s.given()
	}
	c, err := read(kept)
	if err == nil && s.fits(c.Leaf, now) || !make {
		return c, err
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return c, err
	}
	return s.own(kept, now)
}

// Fingerprint is by what people know the page's certificate: what browsers show of it.
func (s Settings) Fingerprint(kept string) (string, error) {
	c, err := s.certificate(kept, time.Time{}, false)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("SHA-256 %X", sha256.Sum256(c.Leaf.Raw)), nil
}

// Given is the fingerprint of the certificate that the settings lead to, which a new one may
// have replaced; empty where the agent makes its own.
func (s Settings) Given() string {
	if s.TLS.Certificate == "" {
		return ""
	}
	fingerprint, _ := s.Fingerprint("")
	return fingerprint
}

func (s Settings) given() (tls.Certificate, error) {
	chain, err := durable.Read(s.TLS.Certificate, maxCertificate)
	if err != nil {
		return tls.Certificate{}, unusable(err)
	}
	key, err := s.TLS.Key.Read()
	if err != nil {
		return tls.Certificate{}, unusable(err)
	}
	c, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return c, unusable(err)
	}
	return c, nil
}

func unusable(err error) error {
	return &session.Error{Kind: session.Invalid, Message: "The certificate of the agent's page cannot be used", Next: "See console.tls in the configuration, or leave it out: the agent then makes one.", Err: err}
}

func read(path string) (tls.Certificate, error) {
	raw, err := durable.ReadPrivate(path, maxCertificate)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(raw, raw)
}

// fits reports whether a certificate names all that the page is called, and lasts.
func (s Settings) fits(c *x509.Certificate, now time.Time) bool {
	return now.Add(renewBefore).Before(c.NotAfter) && !slices.ContainsFunc(s.hosts(), func(h string) bool { return c.VerifyHostname(h) != nil })
}

// own makes a certificate that vouches for itself: people compare its fingerprint, or IT
// hands it to the hospital's machines.
func (s Settings) own(path string, now time.Time) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return tls.Certificate{}, err
	}
	t := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "Sallyport, the agent's page"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateTo),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, h := range s.hosts() {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return tls.Certificate{}, err
	}
	var b bytes.Buffer
	for _, block := range []*pem.Block{{Type: "CERTIFICATE", Bytes: der}, {Type: "PRIVATE KEY", Bytes: private}} {
		if err := pem.Encode(&b, block); err != nil {
			return tls.Certificate{}, err
		}
	}
	if err := durable.Write(path, b.Bytes()); err != nil {
		return tls.Certificate{}, err
	}
	return read(path)
}
