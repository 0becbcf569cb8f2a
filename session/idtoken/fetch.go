package idtoken

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/sallyport/sallyport/session"
)

// answer is what one refresh brought.
type answer struct {
	keys   map[string][]signingKey
	skew   time.Duration
	skewed bool
}

// fetch asks the issuer for its keys, by way of its discovery document unless the
// key set's address is pinned.
func (k *KeySet) fetch(ctx context.Context) (answer, error) {
	if k.issuer.Keys != "" {
		return k.readKeys()
	}
	address := k.issuer.JWKS
	if address == "" {
		var err error
		if address, err = k.discover(ctx); err != nil {
			return answer{}, fmt.Errorf("read discovery document of %s: %w", k.issuer.URL, err)
		}
	}
	u, err := documentURL(k.issuer, address)
	if err != nil {
		return answer{}, err
	}
	body, a, err := k.get(ctx, u)
	if err != nil {
		return answer{}, fmt.Errorf("read key set of %s: %w", k.issuer.URL, err)
	}
	if a.keys, err = parseKeys(body); err != nil {
		return answer{}, fmt.Errorf("read key set of %s: %w", k.issuer.URL, err)
	}
	return a, nil
}

// readKeys takes the key set from the file that the configuration names.
func (k *KeySet) readKeys() (a answer, err error) {
	f, err := os.Open(k.issuer.Keys)
	if err != nil {
		return answer{}, err
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, maxBody+1))
	if err == nil && len(body) > maxBody {
		err = errors.New("it is too large")
	}
	if err == nil {
		a.keys, err = parseKeys(body)
	}
	if err != nil {
		return answer{}, fmt.Errorf("read the keys of %s in %s: %w", k.issuer.URL, k.issuer.Keys, err)
	}
	return a, nil
}

// discover returns the address of the key set. The document must name its issuer
// byte for byte and keep its keys on the issuer's own host.
func (k *KeySet) discover(ctx context.Context) (string, error) {
	doc, err := Discover(ctx, k.client, k.issuer)
	if err != nil {
		return "", err
	}
	if err := k.onePerson(doc.Subjects); err != nil {
		return "", err
	}
	address := doc.Keys
	target, err := documentURL(k.issuer, address)
	if err != nil {
		return "", err
	}
	if target.Host != k.base.Host || target.Scheme != k.base.Scheme {
		return "", fmt.Errorf("its keys are on another host: %.120q", address)
	}
	return address, nil
}

// ErrPairwise is in the chain when an issuer names a person differently for each client.
var ErrPairwise = errors.New("the subject is pairwise")

// onePerson refuses an issuer that gives each client another sub for a person, where
// several clients count and sub is the name: one person would be as many as there are
// clients, approve twice, and come back by browser when they were disabled.
func (k *KeySet) onePerson(kinds []string) error {
	if k.issuer.SubjectClaim() != "sub" || len(k.clients) < 2 || !slices.Contains(kinds, "pairwise") || slices.Contains(kinds, "public") {
		return nil
	}
	return &session.Error{
		Kind: session.Refused,
		Message: fmt.Sprintf("%.200s names a person differently for each client (sub is pairwise), and %d clients count here: %s.",
			k.issuer.URL, len(k.clients), strings.Join(k.clients, ", ")),
		Next: "Name the claim that is the same for all of them (subject: oid at Entra ID, unique_name at AD FS), or accept one client only.",
		Err:  ErrPairwise,
	}
}

// get reads one document, and what its Date header says about our clock.
func (k *KeySet) get(ctx context.Context, u *url.URL) ([]byte, answer, error) {
	sent := k.opts.Now()
	body, header, err := document(ctx, k.client, u.String())
	if err != nil {
		return nil, answer{}, err
	}
	a := answer{}
	a.skew, a.skewed = clockSkew(header, sent, k.opts.Now())
	return body, a, nil
}

// clockSkew compares our clock with a Date header, which was written at some time
// between sending and receiving and is cut to a whole second. What these two leave
// open counts in our favour.
func clockSkew(h http.Header, sent, received time.Time) (time.Duration, bool) {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0, false
	}
	if age, err := strconv.ParseUint(h.Get("Age"), 10, 31); err == nil {
		date = date.Add(time.Duration(age) * time.Second)
	}
	switch {
	case date.After(received):
		return received.Sub(date), true
	case date.Add(time.Second).Before(sent):
		return sent.Sub(date.Add(time.Second)), true
	default:
		return 0, true
	}
}

// parseKeys keeps the keys that may sign ID tokens and drops all others.
func parseKeys(body []byte) (map[string][]signingKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, err
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("%d keys are too many", len(set.Keys))
	}
	keys := map[string][]signingKey{}
	for _, raw := range set.Keys {
		if key, ok := parseKey(raw); ok {
			keys[key.id] = append(keys[key.id], key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("no usable signing key")
	}
	return keys, nil
}

func parseKey(raw []byte) (signingKey, bool) {
	var jwk jose.JSONWebKey
	var limits struct {
		Operations []string `json:"key_ops"`
	}
	if json.Unmarshal(raw, &limits) != nil || json.Unmarshal(raw, &jwk) != nil {
		return signingKey{}, false
	}
	operations := limits.Operations
	switch {
	case jwk.KeyID == "", !jwk.Valid(), !jwk.IsPublic(),
		jwk.Use != "" && jwk.Use != "sig",
		operations != nil && !slices.Contains(operations, "verify"):
		return signingKey{}, false
	}
	switch pub := jwk.Key.(type) {
	case *rsa.PublicKey:
		if bits := pub.N.BitLen(); bits < minRSA || bits > maxRSA || pub.E < 3 || pub.E&1 == 0 {
			return signingKey{}, false
		}
	case *ecdsa.PublicKey:
		if pub.Curve != elliptic.P256() {
			return signingKey{}, false
		}
	case ed25519.PublicKey:
	default:
		return signingKey{}, false
	}
	plain, err := json.Marshal(jose.JSONWebKey{Key: jwk.Key, KeyID: jwk.KeyID, Algorithm: jwk.Algorithm, Use: jwk.Use})
	if err != nil {
		return signingKey{}, false
	}
	return signingKey{id: jwk.KeyID, alg: jwk.Algorithm, key: jwk.Key, jwk: plain}, true
}

// fits reports whether a key may verify an algorithm's signatures.
func (s signingKey) fits(alg string) bool {
	if s.alg != "" && s.alg != alg {
		return false
	}
	switch s.key.(type) {
	case *rsa.PublicKey:
		return alg == string(jose.RS256) || alg == string(jose.PS256)
	case *ecdsa.PublicKey:
		return alg == string(jose.ES256)
	case ed25519.PublicKey:
		return alg == string(jose.EdDSA)
	}
	return false
}

// issuerURL reads an issuer's URL: https, or http on loopback where that was allowed.
func issuerURL(issuer session.Issuer) (*url.URL, error) {
	u, err := documentURL(issuer, issuer.URL)
	if err == nil && (u.RawQuery != "" || u.ForceQuery) {
		return nil, badURL(issuer.URL, errors.New("has a query"))
	}
	return u, err
}

func documentURL(issuer session.Issuer, address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, badURL(address, err)
	}
	switch {
	case u.Host == "" || u.Hostname() == "" || u.Opaque != "":
		return nil, badURL(address, errors.New("has no host"))
	case u.User != nil, strings.Contains(address, "#"):
		return nil, badURL(address, errors.New("has a user or a fragment"))
	case u.Scheme == "https":
		return u, nil
	case u.Scheme == "http" && issuer.InsecureLoopback && session.Loopback(u.Hostname()):
		return u, nil
	}
	return nil, badURL(address, errors.New("is neither https nor permitted http on loopback"))
}

func badURL(address string, err error) error {
	return &session.Error{
		Kind:    session.Invalid,
		Message: fmt.Sprintf("%.200q cannot be the address of an identity provider or of its keys.", address),
		Next:    "Use https, or http on loopback with insecure_loopback: true.",
		Err:     err,
	}
}
