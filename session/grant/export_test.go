package grant

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"errors"
	"strings"
)

// ECDSAKeyLine is a P-256 public key as one line of OpenSSH, as a browser writes it.
func ECDSAKeyLine(pub *ecdsa.PublicKey) (string, error) {
	if pub == nil || pub.Curve != elliptic.P256() {
		return "", errors.New("not a P-256 key")
	}
	k, err := pub.ECDH()
	if err != nil {
		return "", err
	}
	return p256Line(k.Bytes()), nil
}

// LoginNonce is the nonce of a sign-in at a broker, for the session whose key line is given.
func LoginNonce(brokerURL, keyLine string, salt [32]byte) string {
	subject := sha256.Sum256([]byte(strings.TrimRight(brokerURL, "/")))
	return Nonce(RoleLogin, subject, KeyHash(keyLine), salt)
}
