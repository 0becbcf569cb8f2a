package session

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
)

// hostKeyInfo separates this use of a key's seed from every other.
const hostKeyInfo = "sallyport/v1/ssh-host-key/p256"

// HostKeyEC is the second SSH host key of who has the first: for clients to which
// Ed25519 is not allowed, or not known. It is made from the first one, so that there is
// one secret to keep, and it never changes alone.
func HostKeyEC(first ed25519.PrivateKey) (*ecdsa.PrivateKey, error) {
	for try := range 8 { // one in 2^32 candidates is no scalar of the curve
		raw, err := hkdf.Key(sha256.New, first.Seed(), nil, fmt.Sprintf("%s/%d", hostKeyInfo, try), 32)
		if err != nil {
			return nil, fmt.Errorf("derive the second host key: %w", err)
		}
		if key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw); err == nil {
			return key, nil
		}
	}
	return nil, Errorf(Internal, "no second host key can be derived")
}

const keyTypeEC = "ecdsa-sha2-nistp256"

// KeyLineEC is a P-256 public key as one line of OpenSSH (RFC 5656 section 3.1).
func KeyLineEC(pub *ecdsa.PublicKey) (string, error) {
	if pub == nil || pub.Curve != elliptic.P256() {
		return "", Errorf(Invalid, "this is no key on P-256")
	}
	point, err := pub.Bytes()
	if err != nil {
		return "", Errorf(Invalid, "this is no key on P-256: %w", err)
	}
	var wire []byte
	for _, field := range []string{keyTypeEC, "nistp256", string(point)} {
		wire = append(binary.BigEndian.AppendUint32(wire, uint32(len(field))), field...)
	}
	return keyTypeEC + " " + base64.StdEncoding.EncodeToString(wire), nil
}

// ParseKeyLineEC reads the form that KeyLineEC writes, and nothing else: a point off the
// curve is no key.
func ParseKeyLineEC(line string) (*ecdsa.PublicKey, error) {
	body, ok := strings.CutPrefix(line, keyTypeEC+" ")
	wire, err := base64.StdEncoding.Strict().DecodeString(body)
	const head = 4 + len(keyTypeEC) + 4 + len("nistp256") + 4
	if ok && err == nil && len(wire) == head+65 {
		if pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), wire[head:]); err == nil {
			if again, err := KeyLineEC(pub); err == nil && again == line {
				return pub, nil
			}
		}
	}
	return nil, Errorf(Invalid, "%.80q is not an %s key line", line, keyTypeEC)
}
