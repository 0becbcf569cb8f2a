package devidp

import (
	"bytes"
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
	"io/fs"
	"math/big"
	"net/http"
	"os"
	"slices"
	"sync"

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

// keyring holds the published keys, the newest and signing one first, and those
// withdrawn since the start, which only tests still sign with.
type keyring struct {
	mu        sync.Mutex
	file      string
	published []signingKey
	withdrawn []signingKey
}

// load reads the keys of file, or makes one key and keeps it there.
func (k *keyring) load(file string) error {
	k.file = file
	if file != "" {
		raw, err := os.ReadFile(file)
		if err == nil {
			return k.parse(raw)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("read signing keys: %w", err)
		}
	}
	return k.rotate()
}

func (k *keyring) parse(raw []byte) error {
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return fmt.Errorf("signing key in %s: %w", k.file, err)
		}
		key, ok := parsed.(*rsa.PrivateKey)
		if !ok || key.N.BitLen() < keyBits || len(k.published) == maxKeys {
			return fmt.Errorf("signing keys in %s: want at most %d RSA keys of %d bits", k.file, maxKeys, keyBits)
		}
		k.published = append(k.published, signingKey{keyID(&key.PublicKey), key})
	}
	if len(k.published) == 0 {
		return fmt.Errorf("no signing key in %s", k.file)
	}
	return nil
}

// rotate puts a new key in front; the older ones stay published.
func (k *keyring) rotate() error {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return fmt.Errorf("make signing key: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	keys := append([]signingKey{{keyID(&key.PublicKey), key}}, k.published...)
	gone := keys[min(len(keys), maxKeys):]
	return k.replace(keys[:len(keys)-len(gone)], gone)
}

// withdraw unpublishes all but the signing key.
func (k *keyring) withdraw() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.replace(slices.Clone(k.published[:1]), k.published[1:])
}

// replace saves keys and then takes them, so that a failed save changes nothing.
func (k *keyring) replace(keys, gone []signingKey) error {
	if k.file != "" {
		if err := saveKeys(k.file, keys); err != nil {
			return err
		}
	}
	k.withdrawn = append(slices.Clone(gone), k.withdrawn...)
	k.withdrawn = k.withdrawn[:min(len(k.withdrawn), maxKeys)]
	k.published = keys
	return nil
}

func saveKeys(file string, keys []signingKey) error {
	var out bytes.Buffer
	for _, k := range keys {
		der, err := x509.MarshalPKCS8PrivateKey(k.key)
		if err != nil {
			return fmt.Errorf("encode signing key: %w", err)
		}
		if err := pem.Encode(&out, &pem.Block{Type: "PRIVATE KEY", Bytes: der}); err != nil {
			return fmt.Errorf("encode signing key: %w", err)
		}
	}
	return durable.Write(file, out.Bytes())
}

// signer is the key that a kid names, also a withdrawn one; any other kid gets the
// current key.
func (k *keyring) signer(kid string) signingKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range slices.Concat(k.published, k.withdrawn) {
		if s.id == kid {
			return s
		}
	}
	return k.published[0]
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
	p.keys.mu.Lock()
	keys := []map[string]string{}
	for _, k := range p.keys.published {
		pub := &k.key.PublicKey
		keys = append(keys, map[string]string{
			"kty": "RSA", "use": "sig", "alg": "RS256", "kid": k.id, "n": modulus(pub), "e": exponent(pub),
		})
	}
	p.keys.mu.Unlock()
	w.Header().Set("Cache-Control", "public, max-age=60")
	writeJSON(w, http.StatusOK, map[string]any{"keys": keys})
}

// RotateKey makes a new signing key. The older keys stay in the JWKS, as real
// providers keep them, until WithdrawKeys.
func (p *Provider) RotateKey() error { return p.keys.rotate() }

// WithdrawKeys takes every key but the signing one out of the JWKS.
func (p *Provider) WithdrawKeys() error { return p.keys.withdraw() }

// KeyID is the kid of the current signing key.
func (p *Provider) KeyID() string { return p.keys.signer("").id }

// Sign makes a compact token of any header and claims, true or not: it is for tests
// that need tokens no honest provider would issue. A nil header is the honest one. A
// kid that names a published or withdrawn key signs with that key, any other with the
// current one. The header's alg chooses the signature: RS256 and PS256 are made, none
// is left empty, HS256 uses the PEM of the public key as its secret; every other name
// gets an RS256 signature.
func (p *Provider) Sign(header, claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	return p.SignBytes(header, payload)
}

// SignBytes is Sign for a payload that no encoder would write, such as one with
// duplicate names.
func (p *Provider) SignBytes(header map[string]any, payload []byte) (string, error) {
	if header == nil {
		header = map[string]any{"alg": "RS256", "typ": "JWT", "kid": p.KeyID()}
	}
	head, err := json.Marshal(header)
	if err != nil {
		return "", fmt.Errorf("encode header: %w", err)
	}
	input := b64(head) + "." + b64(payload)
	kid, _ := header["kid"].(string)
	alg, _ := header["alg"].(string)
	sig, err := p.keys.signer(kid).sign(alg, input)
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
	case "PS256":
		return rsa.SignPSS(rand.Reader, s.key, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
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
