package grant

import (
	"crypto/sha256"
	"strings"
)

// LoginNonce is the nonce of a sign-in at a broker, for the session whose key line is given.
func LoginNonce(brokerURL, keyLine string, salt [32]byte) string {
	subject := sha256.Sum256([]byte(strings.TrimRight(brokerURL, "/")))
	return Nonce(RoleLogin, subject, KeyHash(keyLine), salt)
}
