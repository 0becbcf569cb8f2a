package rfb

import (
	"crypto/des" //nolint:gosec // RFC 6143 section 7.2.2 knows no other
	"math/bits"
)

// ChallengeSize is what the old authentication asks and answers with.
const ChallengeSize = 16

// Answer encrypts a challenge with a password, of which eight bytes count, each with its
// bits turned round (RFC 6143 section 7.2.2, and what every implementation does).
func Answer(challenge [ChallengeSize]byte, password string) (answer [ChallengeSize]byte) {
	c, err := des.NewCipher(Turned(password))
	if err != nil {
		return answer // a key of eight bytes is always taken
	}
	c.Encrypt(answer[:8], challenge[:8])
	c.Encrypt(answer[8:], challenge[8:])
	return answer
}

// Turned is a DES key of eight bytes, as VNC makes it of a password.
func Turned(password string) []byte {
	key := make([]byte, des.BlockSize)
	copy(key, password)
	for i := range key {
		key[i] = bits.Reverse8(key[i])
	}
	return key
}
