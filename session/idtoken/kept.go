package idtoken

import (
	"fmt"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/session"
)

// Kept is an issuer's key set that holds one key and asks nobody: the key that was
// kept beside a token when it was checked (Claims.Key). Verify with it takes the same
// path as ever. That the issuer really published the key is the keeper's word.
func Kept(issuer session.Issuer, jwk []byte) (*KeySet, error) {
	base, err := issuerURL(issuer)
	if err != nil {
		return nil, err
	}
	key, ok := parseKey(jwk)
	if !ok {
		return nil, malformed("The key that was kept with the sign-in token is not a usable signing key.", nil)
	}
	at := time.Unix(0, 0)
	return &KeySet{
		issuer: issuer, base: base, flight: make(chan struct{}, 1), client: &http.Client{Transport: nowhere{}},
		opts:  Options{MaxStale: time.Hour, Now: func() time.Time { return at }},
		state: keyState{keys: map[string][]signingKey{key.id: {key}}, fetched: at.Add(1), tried: at.Add(1)},
	}, nil
}

// nowhere is the network of a kept key set.
type nowhere struct{}

func (nowhere) RoundTrip(r *http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("%s is not asked: the key was kept", r.URL.Host)
}

// Only is the key sets of one issuer.
func Only(k *KeySet) *KeySets { return &KeySets{sets: map[string]*KeySet{k.Issuer(): k}} }
