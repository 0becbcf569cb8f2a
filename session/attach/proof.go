package attach

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
	"strings"

	"github.com/sallyport/sallyport/session"
)

const (
	ecdsaBits = 32 // bytes of a number of the curve
	sigSize   = 64
)

// NewChallenge makes a challenge with fresh random bytes.
func NewChallenge(agent string, protocol session.Protocol, of session.Target) Challenge {
	random := make([]byte, 32+16)
	_, _ = rand.Read(random) // never fails: crypto/rand ends the program first
	return Challenge{
		V: Version, Nonce: base64.RawURLEncoding.EncodeToString(random[:32]), Agent: agent,
		Stream: base64.RawURLEncoding.EncodeToString(random[32:]), Protocol: protocol, Site: of.Site, Asset: of.Asset, Service: of.Service,
	}
}

// SigningMessage is what a proof signs: challenge is the payload of the C as it came.
func (p Proof) SigningMessage(challenge []byte, of session.Target) []byte {
	signed := []string{string(p.Role), string(p.Protocol), p.Session, of.Site, of.Asset, of.Service, p.Key}
	if ask, err := ParseCritical(p.Opening); err == nil && p.Role == RoleCritical { // what cannot be read is refused
		signed = append(signed, ask.statement()...)
	}
	about := sha256.Sum256([]byte(strings.Join(signed, "\x00")))
	what := sha256.Sum256(challenge)
	message := append([]byte("sallyport/v1/attach\x00"), what[:]...)
	return append(message, about[:]...)
}

// Verify reports whether the owner of the proof's key signed for this challenge, for a
// service of an asset and what it speaks. Whether that key opens anything is another
// question.
func (p Proof) Verify(challenge []byte, protocol session.Protocol, of session.Target) error {
	signature, err := base64.RawURLEncoding.Strict().DecodeString(p.Signature)
	if err != nil || len(signature) != sigSize {
		return errProof()
	}
	key, err := ParseKey(p.Key)
	if err != nil || p.Protocol != protocol || !key.verify(p.SigningMessage(challenge, of), signature) {
		return errProof()
	}
	return nil
}

func errProof() error {
	return session.Errorf(session.Denied, "The browser did not prove its key.").
		WithNext("Open the terminal again from its session's page.")
}

// Key is a public key of a grant, of one of the two kinds.
type Key struct {
	ed25519 ed25519.PublicKey
	ecdsa   *ecdsa.PublicKey
}

// ParseKey reads a key line, "ssh-ed25519 AAAA..." or "ecdsa-sha2-nistp256 AAAA...", in
// the one form in which it can be written. A point off the curve is refused.
func ParseKey(line string) (Key, error) {
	if pub, err := session.ParseKeyLine(line); err == nil {
		return Key{ed25519: pub}, nil
	}
	pub, err := session.ParseKeyLineEC(line)
	if err != nil {
		return Key{}, session.Errorf(session.Invalid, "%.80q is not the line of an ed25519 or P-256 key", line)
	}
	return Key{ecdsa: pub}, nil
}

// verify takes a signature of sigSize bytes.
func (k Key) verify(message, signature []byte) bool {
	switch {
	case len(signature) != sigSize:
		return false
	case k.ed25519 != nil:
		return ed25519.Verify(k.ed25519, message, signature)
	case k.ecdsa == nil:
		return false
	}
	r, s := new(big.Int).SetBytes(signature[:ecdsaBits]), new(big.Int).SetBytes(signature[ecdsaBits:])
	order := k.ecdsa.Curve.Params().N
	if r.Sign() == 0 || s.Sign() == 0 || r.Cmp(order) >= 0 || s.Cmp(order) >= 0 {
		return false
	}
	sum := sha256.Sum256(message)
	return ecdsa.Verify(k.ecdsa, sum[:], r, s)
}
