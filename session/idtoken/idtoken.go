// Package idtoken checks OpenID Connect ID tokens strictly, the same way for the
// agent, the approver's console and the broker's door: pinned issuer, pinned
// algorithms, one audience, own key set, own clock rules, duplicate-free JSON.
// It knows tokens and keys, and nothing of requests or grants.
//
// go-oidc checks the signature and the issuer. What it leaves to its caller (nonce, iat,
// sub, azp, several audiences, typ, duplicate names, its key set's habit of keeping
// withdrawn keys) is done here. How an issuer's tokens are read (the claim that names a person, tenant, groups,
// algorithms) stands in its entry, which its KeySet carries.
package idtoken

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/sallyport/sallyport/session"
)

// Expect is what a token must satisfy besides its signature.
type Expect struct {
	Issuer     string        // byte-equal to iss
	Clients    []string      // the one audience must be one of these
	Nonce      string        // byte-equal to nonce
	At         time.Time     // when the token was received
	AsMinted   bool          // judge times at the token's own iat instead of At: its age is somebody else's business
	MaxAge     time.Duration // iat not older than this at At; 0: not checked
	FreshLogin time.Duration // auth_time not older than this at At, but for skew; 0: not checked
	ACR        []string      // when set, acr must be one of these
}

// Claims are what a checked token says.
type Claims struct {
	session.Person           // its Sub is what the issuer's subject claim says
	Client         string    // the audience
	Groups         []string  // of the groups claim, or groups and roles together
	Overage        bool      // the issuer left the groups out because there were too many
	IssuedAt       time.Time //
	Expires        time.Time //
	AuthTime       time.Time // zero when absent
	ACR            string
	KeyID          string
	Key            []byte // the JWK that verified it, JSON, kept for offline audit
}

// Verify checks a compact token against what is expected, with the keys of its
// issuer. It fetches keys when it must, never more often than KeySet allows.
// Errors are *session.Error: Invalid for a token that can never be right, Expired
// for one that was right once, Refused and Denied for what its issuer or its
// person may not, Unreachable when the issuer's keys are not at hand.
func Verify(ctx context.Context, keys *KeySet, compact string, e Expect) (Claims, error) {
	if err := e.check(keys); err != nil {
		return Claims{}, err
	}
	tok, err := open(compact)
	if err != nil {
		return Claims{}, err
	}
	if err := tok.checkHeader(keys.issuer.Signatures()); err != nil {
		return Claims{}, err
	}
	used, err := checkSignature(ctx, keys, compact, tok)
	if err != nil {
		return Claims{}, err
	}
	c, err := tok.claims(keys.issuer, e)
	if err != nil {
		return Claims{}, err
	}
	c.KeyID, c.Key = used.id, slices.Clone(used.jwk)
	return c, nil
}

// checkSignature runs go-oidc with our keys, and returns the one that signed. Expiry and
// audience are judged later, by stricter rules than its own.
func checkSignature(ctx context.Context, keys *KeySet, compact string, tok token) (signingKey, error) {
	bound := &boundKeys{set: keys}
	verifier := oidc.NewVerifier(keys.Issuer(), bound, &oidc.Config{
		SkipClientIDCheck:    true,
		SkipExpiryCheck:      true,
		SupportedSigningAlgs: keys.issuer.Signatures(),
	})
	_, err := verifier.Verify(ctx, compact)
	_, marked := tok.payload["_claim_names"]
	switch {
	case bound.err != nil:
		return signingKey{}, bound.err
	case bound.payload == nil, !bytes.Equal(bound.payload, tok.raw):
		return signingKey{}, malformed("The sign-in token cannot be read.", err)
	case err != nil && marked && tok.payload["iss"] == keys.Issuer():
		// It stumbles over the mark of left-out groups where their source is not named,
		// and that mark is none of its business.
	case err != nil:
		return signingKey{}, notOurIssuer(err)
	}
	return bound.used, nil
}

// boundKeys lets go-oidc verify one token and remembers with which key.
type boundKeys struct {
	set     *KeySet
	payload []byte
	used    signingKey
	err     error
}

// VerifySignature implements oidc.KeySet.
func (b *boundKeys) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	b.payload, b.used, b.err = b.set.verify(ctx, jwt)
	return b.payload, b.err
}

// check refuses expectations that would let a token through unchecked: they are
// our mistake, never the sender's.
func (e Expect) check(keys *KeySet) error {
	switch {
	case keys == nil, e.Issuer == "", e.Issuer != keys.Issuer():
		return fault("no keys of the expected issuer")
	case len(e.Clients) == 0, slices.Contains(e.Clients, ""):
		return fault("no client expected")
	case e.Nonce == "":
		return fault("no nonce expected")
	case e.At.IsZero() != e.AsMinted:
		return fault("either At or AsMinted")
	case e.AsMinted && e.FreshLogin > 0:
		return fault("a fresh login, and no time of receipt to measure it")
	}
	return nil
}

func fault(what string) error {
	return &session.Error{
		Kind:    session.Internal,
		Message: "The sign-in token could not be checked: " + what + ".",
		Next:    "Tell whoever runs this Sallyport.",
	}
}

const signInAgain = "Sign in again with sallyport and let it make a new one."

// malformed is a token that no identity provider of ours would have made.
func malformed(message string, err error) error {
	return &session.Error{Kind: session.Invalid, Message: message, Next: signInAgain, Err: err}
}

func notOurIssuer(err error) error {
	return malformed("The sign-in token does not come from the identity provider that is pinned here.", err)
}
