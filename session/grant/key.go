package grant

import (
	"crypto/ecdh"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"

	"github.com/sallyport/sallyport/session"
)

const (
	p256Name  = "ecdsa-sha2-nistp256"
	p256Curve = "nistp256"
	p256Point = 65 // bytes of an uncompressed point
)

// KeyHash is the SHA-256 of a key line's bytes, as nonces cover it.
func KeyHash(line string) [32]byte { return sha256.Sum256([]byte(line)) }

// checkKeyLine accepts an ed25519 or P-256 key line in its one spelling.
func checkKeyLine(line string) error {
	body, ok := strings.CutPrefix(line, p256Name+" ")
	if !ok {
		_, err := session.ParseKeyLine(line)
		return err
	}
	wire, err := base64.StdEncoding.DecodeString(body)
	if err != nil {
		return err
	}
	if len(wire) < p256Point {
		return errors.New("too short for a P-256 key")
	}
	point := wire[len(wire)-p256Point:]
	if _, err := ecdh.P256().NewPublicKey(point); err != nil {
		return err
	}
	if p256Line(point) != line {
		return errors.New("not a key line in canonical form")
	}
	return nil
}

// p256Line is the encoding of RFC 5656 section 3.1.
func p256Line(point []byte) string {
	var wire []byte
	for _, part := range [][]byte{[]byte(p256Name), []byte(p256Curve), point} {
		wire = binary.BigEndian.AppendUint32(wire, uint32(len(part)))
		wire = append(wire, part...)
	}
	return p256Name + " " + base64.StdEncoding.EncodeToString(wire)
}
