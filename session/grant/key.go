package grant

import (
	"crypto/sha256"
	"strings"

	"github.com/sallyport/sallyport/session"
)

// KeyHash is the SHA-256 of a key line's bytes, as nonces cover it.
func KeyHash(line string) [32]byte { return sha256.Sum256([]byte(line)) }

// checkKeyLine accepts an ed25519 or P-256 key line in its one spelling.
func checkKeyLine(line string) error {
	if strings.HasPrefix(line, "ecdsa") {
		_, err := session.ParseKeyLineEC(line)
		return err
	}
	_, err := session.ParseKeyLine(line)
	return err
}
