// Package idtoken checks OpenID Connect ID tokens strictly, the same way for the
// agent, the approver's console and the broker's door: pinned issuer, pinned
// algorithms, one audience, own key set, own clock rules, duplicate-free JSON.
// It knows tokens and keys, and nothing of requests or grants.
package idtoken

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/session"
)

// Expect is what a token must satisfy besides its signature.
type Expect struct {
	Issuer     string        // byte-equal to iss
	Clients    []string      // the one audience must be one of these
	Algorithms []string      // default RS256
	Nonce      string        // byte-equal to nonce
	At         time.Time     // when the token was received
	MaxAge     time.Duration // iat not older than this at At; 0: not checked
	FreshLogin time.Duration // 0 <= iat - auth_time <= this; 0: not checked
	ACR        []string      // when set, acr must be one of these
}

// Claims are what a checked token says.
type Claims struct {
	session.Person
	Client   string    // the audience
	Groups   []string  // groups and roles claims together
	Overage  bool      // the issuer left the groups out because there were too many
	IssuedAt time.Time //
	Expires  time.Time //
	AuthTime time.Time // zero when absent
	ACR      string
	KeyID    string
	Key      []byte // the JWK that verified it, JSON, kept for offline audit
}

// Verify checks a compact token against what is expected, with the keys of its issuer.
func Verify(ctx context.Context, keys *KeySet, compact string, e Expect) (Claims, error) {
	return Claims{}, session.Errorf(session.Internal, "not built")
}

// KeySet is one issuer's signing keys.
type KeySet struct{}
