package oldtls

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// server is OpenSSL's, with more arguments.
func server(t *testing.T, cert, key string, args ...string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	l.Close()
	c := exec.Command("openssl", append([]string{"s_server", "-accept", at, "-cert", cert, "-key", key, "-quiet"}, args...)...)
	in, err := c.StdinPipe() // it ends with its input
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = c.Process.Kill(); _ = c.Wait() })
	return at
}

func shake(t *testing.T, at string, cfg *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		raw, err := net.Dial("tcp", at)
		if err != nil {
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond) // until it listens
			continue
		}
		defer raw.Close()
		c := tls.Client(raw, cfg)
		err = c.HandshakeContext(t.Context())
		return c.ConnectionState(), err
	}
}

func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	is := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "console"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, is, is, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := errors.Join(os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)}), 0o600)); err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// What a real server of the past has, and whether a client meets it: by itself, and when the
// past is allowed.
func TestServersOfThePast(t *testing.T) {
	cert, key := certificate(t)
	for _, c := range []struct {
		name       string
		args       []string
		plain, old bool
		used       string
	}{
		{"TLS 1.2 as of today", []string{"-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"}, true, true, ""},
		{"TLS 1.0, RSA key exchange", []string{"-tls1", "-cipher", "AES128-SHA:@SECLEVEL=0"}, false, true, "TLS 1.0, RSA key exchange, SHA-1"},
		{"TLS 1.1, RSA key exchange", []string{"-tls1_1", "-cipher", "AES256-SHA:@SECLEVEL=0"}, false, true, "TLS 1.1, RSA key exchange, SHA-1"},
		{"TLS 1.0, ECDHE", []string{"-tls1", "-cipher", "ECDHE-RSA-AES128-SHA:@SECLEVEL=0"}, false, true, "TLS 1.0, SHA-1"},
		{"TLS 1.2, RSA key exchange", []string{"-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"}, false, true, "RSA key exchange, SHA-1"},
		{"TLS 1.2, signs SHA-1 alone", []string{"-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA:@SECLEVEL=0", "-sigalgs", "RSA+SHA1"}, false, false, ""},
		{"TLS 1.2, finite Diffie-Hellman", []string{"-tls1_2", "-cipher", "DHE-RSA-AES128-SHA:@SECLEVEL=0"}, false, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := server(t, cert, key, c.args...)
			fresh := func() *tls.Config {
				return &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}
			}
			if _, err := shake(t, at, fresh()); err == nil != c.plain {
				t.Errorf("by itself: %v", err)
			}
			old := fresh()
			Allow(old)
			state, err := shake(t, at, old)
			if err == nil != c.old {
				t.Errorf("with the past: %v", err)
			}
			if err == nil && Used(state) != c.used {
				t.Errorf("says %q", Used(state))
			}
		})
	}
}

// What is allowed is allowed to one configuration, and RC4 to none.
func TestThePastIsOfOneConfiguration(t *testing.T) {
	one := &tls.Config{InsecureSkipVerify: true}
	Allow(one)
	for _, suite := range one.CipherSuites {
		if name := tls.CipherSuiteName(suite); name == "TLS_RSA_WITH_RC4_128_SHA" {
			t.Error(name)
		}
	}
	cert, key := certificate(t)
	at := server(t, cert, key, "-tls1", "-cipher", "AES128-SHA:@SECLEVEL=0")
	if _, err := shake(t, at, one); err != nil {
		t.Error(err)
	}
	if _, err := shake(t, at, &tls.Config{InsecureSkipVerify: true}); err == nil {
		t.Error("another configuration is let into the past")
	}
	if got := Used(tls.ConnectionState{Version: tls.VersionTLS12, CipherSuite: tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}); got != "RSA key exchange, SHA-1, 3DES" {
		t.Error(got)
	}
}
