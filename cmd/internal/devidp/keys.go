package devidp

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"os"

	"github.com/sallyport/sallyport/session/durable"
)

const (
	keyBits = 2048
)

// signingKey is an RSA key and the name by which the JWKS publishes it.
type signingKey struct {
	id  string
	key *rsa.PrivateKey
}

// loadKey reads the key of file, or makes one and keeps it there; without a file it is
// made at each start.
func loadKey(file string) (signingKey, error) {
	if file == "" {
		made, err := newKey()
		if err != nil {
			return signingKey{}, err
		}
		return parseKey(made)
	}
	if err := durable.Once(file, 0o600, newKey); err != nil {
		return signingKey{}, fmt.Errorf("keep the signing key: %w", err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return signingKey{}, fmt.Errorf("read the signing key: %w", err)
	}
	k, err := parseKey(raw)
	if err != nil {
		return k, fmt.Errorf("signing key in %s: %w", file, err)
	}
	return k, nil
}

func newKey() ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, fmt.Errorf("make signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

func parseKey(raw []byte) (signingKey, error) {
	block, _ := pem.Decode(raw)
	if block == nil {
		return signingKey{}, errors.New("no PEM block")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return signingKey{}, err
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok || key.N.BitLen() < keyBits {
		return signingKey{}, fmt.Errorf("want an RSA key of %d bits", keyBits)
	}
	return signingKey{keyID(&key.PublicKey), key}, nil
}

// keyID is the RFC 7638 thumbprint, so that a key keeps its name wherever it is loaded.
func keyID(key *rsa.PublicKey) string {
	sum := sha256.Sum256(fmt.Appendf(nil, `{"e":%q,"kty":"RSA","n":%q}`, exponent(key), modulus(key)))
	return b64(sum[:])
}

func modulus(key *rsa.PublicKey) string  { return b64(key.N.Bytes()) }
func exponent(key *rsa.PublicKey) string { return b64(big.NewInt(int64(key.E)).Bytes()) }
func b64(b []byte) string                { return base64.RawURLEncoding.EncodeToString(b) }

func (p *Provider) jwks(w http.ResponseWriter, _ *http.Request) {
	pub := &p.key.key.PublicKey
	w.Header().Set("Cache-Control", "public, max-age=60")
	writeJSON(w, http.StatusOK, map[string]any{"keys": []map[string]string{
		{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": p.key.id, "n": modulus(pub), "e": exponent(pub)},
	}})
}

// KeyID is the kid of the signing key.
func (p *Provider) KeyID() string { return p.key.id }

// Sign makes a compact token of any header and claims, true or not: it is for tests
// that need tokens no honest provider would issue. A nil header is the honest one. The
// header's alg chooses the signature: RS256 is made, none is left empty, HS256 uses the
// PEM of the public key as its secret; every other name gets an RS256 signature.
func (p *Provider) Sign(header, claims map[string]any) (string, error) {
	if header == nil {
		header = map[string]any{"alg": "RS256", "typ": "JWT", "kid": p.KeyID()}
	}
	head, err := json.Marshal(header)
	if err != nil {
		return "", fmt.Errorf("encode header: %w", err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	input := b64(head) + "." + b64(payload)
	alg, _ := header["alg"].(string)
	sig, err := p.key.sign(alg, input)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return input + "." + b64(sig), nil
}

func (s signingKey) sign(alg, input string) ([]byte, error) {
	sum := sha256.Sum256([]byte(input))
	switch alg {
	case "none":
		return nil, nil
	case "HS256":
		der, err := x509.MarshalPKIXPublicKey(&s.key.PublicKey)
		if err != nil {
			return nil, err
		}
		mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		mac.Write([]byte(input))
		return mac.Sum(nil), nil
	}
	return rsa.SignPKCS1v15(rand.Reader, s.key, crypto.SHA256, sum[:])
}

// Claims are what an honest ID token of this provider says about a person right now,
// for tests to bend and Sign.
func (p *Provider) Claims(who Person, client, nonce string) map[string]any {
	return p.claims(who, client, nonce, p.cfg.Now().Unix())
}

func (p *Provider) claims(who Person, client, nonce string, authTime int64) map[string]any {
	now := p.cfg.Now()
	c := map[string]any{
		"iss": p.cfg.Issuer, "sub": who.Sub, "aud": client,
		"exp": now.Add(tokenLife).Unix(), "iat": now.Unix(), "auth_time": authTime,
		"email": who.Email, "email_verified": true, "name": who.Name,
		"groups": append([]string{}, who.Groups...),
	}
	if nonce != "" {
		c["nonce"] = nonce
	}
	return c
}
