package idtoken_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
)

// newStranger is a TLS server that calls itself example.com on its own authority.
func newStranger(t *testing.T) *httptest.Server {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the agent talked to a stranger")
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// warmSet has fetched its keys once, through a pipe, so that time can be fake.
func warmSet(t *testing.T, patience time.Duration, fetches *int) *idtoken.KeySet {
	t.Helper()
	body, err := json.Marshal(map[string]any{"keys": []any{publicJWK("k1", rsaKey().Public(), "sig")}})
	if err != nil {
		t.Fatal(err)
	}
	set, err := idtoken.NewKeySet(
		session.Issuer{URL: "http://127.0.0.1", JWKS: "http://127.0.0.1/keys", InsecureLoopback: true},
		idtoken.Options{Patience: patience, Dial: func(context.Context, string, string) (net.Conn, error) {
			*fetches++
			near, far := net.Pipe()
			go answerOnce(far, body)
			return near, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := set.VerifySignature(t.Context(), mintRaw(rsaKey(), `{"alg":"RS256","kid":"k1"}`, `{}`)); err != nil {
		t.Fatal(err)
	}
	return set
}

func unknownToken() string {
	return mintRaw(otherRSA(), `{"alg":"RS256","kid":"k2"}`, `{}`)
}

// answerOnce ends with its connection.
func answerOnce(conn net.Conn, body []byte) {
	defer conn.Close()
	if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
		return
	}
	rec := httptest.NewRecorder()
	rec.Header().Set("Connection", "close")
	_, _ = rec.Write(body)
	_ = rec.Result().Write(conn)
}
