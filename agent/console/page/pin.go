package page

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"

	"github.com/sallyport/sallyport/session"
)

// prefix says how the hash was made.
func prefix() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$", argon2.Version, hashMemory, hashPasses)
}

// HashPIN is what may be kept of a PIN.
func HashPIN(pin string) (string, error) {
	if len(pin) < minPIN || len(pin) > maxPIN || strings.TrimSpace(pin) != pin || strings.Count(pin, pin[:1]) == len(pin) {
		return "", session.Errorf(session.Invalid, "A PIN has %d to %d characters, not all the same.", minPIN, maxPIN).WithNext("Choose another one.")
	}
	salt := make([]byte, saltBytes)
	if _, err := rand.Read(salt); err != nil {
		return "", err
	}
	return prefix() + base64.RawStdEncoding.EncodeToString(salt) + "$" + base64.RawStdEncoding.EncodeToString(stretch(pin, salt)), nil
}

func stretch(pin string, salt []byte) []byte {
	return argon2.IDKey([]byte(pin), salt, hashPasses, hashMemory, 1, hashBytes)
}

// hash is what was kept of a PIN.
type hash struct{ salt, sum []byte }

// parseHash reads what HashPIN made, and nothing else: a file cannot ask for gigabytes.
func parseHash(line string) (hash, error) {
	rest, ok := strings.CutPrefix(line, prefix())
	salt, sum, two := strings.Cut(rest, "$")
	if !ok || !two || len(line) > maxHash {
		return hash{}, notHash(nil)
	}
	var h hash
	var err, err2 error
	h.salt, err = base64.RawStdEncoding.Strict().DecodeString(salt)
	h.sum, err2 = base64.RawStdEncoding.Strict().DecodeString(sum)
	if err := errors.Join(err, err2); err != nil || len(h.salt) != saltBytes || len(h.sum) != hashBytes {
		return hash{}, notHash(err)
	}
	return h, nil
}

func notHash(err error) error {
	return &session.Error{Kind: session.Invalid, Message: "What console.pin leads to is not the hash of a PIN", Next: "Make it with: sallyport-agent pin. A PIN itself is never kept.", Err: err}
}

func (h hash) is(pin string) bool {
	return len(pin) <= maxPIN && subtle.ConstantTimeCompare(stretch(pin, h.salt), h.sum) == 1
}
