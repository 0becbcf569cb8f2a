package passkey

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"math/big"
)

// What a key says of an act.
const (
	present  = 1 << 0 // somebody touched it
	verified = 1 << 2 // and it knew whom: by finger, face or PIN
	eligible = 1 << 3 // it can be copied to another device
	copied   = 1 << 4 // it was
	holdsKey = 1 << 6
	extended = 1 << 7
)

// spoken is what a key says.
type spoken struct {
	count uint32
	id    []byte
	key   crypto.PublicKey // nil: none
}

// authenticator reads what a key says, all of it, and that it says it to this page of
// somebody whom it recognised.
func (p Page) authenticator(b []byte) (spoken, error) {
	if len(b) < 37 || len(b) > maxAuthenticator {
		return spoken{}, unreadable("its length is wrong")
	}
	flags, s := b[32], spoken{count: binary.BigEndian.Uint32(b[33:37])}
	if host := sha256.Sum256([]byte(p.host)); !bytes.Equal(b[:32], host[:]) {
		return spoken{}, denied("The passkey belongs to another page than this one.", "Use one that was registered here.")
	}
	if flags&present == 0 || flags&verified == 0 {
		return spoken{}, denied("The passkey did not check who used it.", "Use one with a PIN, a fingerprint or a face, and start anew.")
	}
	if flags&copied != 0 && flags&eligible == 0 {
		return spoken{}, unreadable("it contradicts itself")
	}
	rest, err := b[37:], error(nil)
	if flags&holdsKey != 0 {
		if rest, err = s.credential(rest); err != nil {
			return spoken{}, err
		}
	}
	if flags&extended != 0 {
		v, after, err := next(rest)
		if _, isMap := v.(pairs); err != nil || !isMap {
			return spoken{}, unreadable("its extensions are broken")
		}
		rest = after
	}
	if len(rest) > 0 {
		return spoken{}, unreadable("something stands behind its end")
	}
	return s, nil
}

// credential reads the key itself, and returns what stands behind it.
func (s *spoken) credential(b []byte) ([]byte, error) {
	const maker = 16 // bytes that say who made it, which nobody here judges
	if len(b) < maker+2 {
		return nil, unreadable("its key is cut off")
	}
	n := int(binary.BigEndian.Uint16(b[maker:]))
	b = b[maker+2:]
	if n < minID || n > maxID || n > len(b) {
		return nil, unreadable("its name is too short or too long")
	}
	s.id = bytes.Clone(b[:n])
	v, rest, err := next(b[n:])
	fields, isMap := v.(pairs)
	if err != nil || !isMap {
		return nil, unreadable("its key is broken")
	}
	if s.key = publicKey(fields); s.key == nil {
		return nil, denied("This passkey's kind of key is not taken here.", "Use one with ES256, EdDSA or RS256.")
	}
	return rest, nil
}

// publicKey reads a COSE key (RFC 9053) of one of three kinds; nil: of none.
func publicKey(k pairs) crypto.PublicKey {
	kind, algorithm := k.number(1), k.number(3)
	first, second := k.number(-1), k.number(-2)
	switch {
	case kind == int64(2) && algorithm == int64(-7) && first == int64(1): // P-256
		x, _ := second.([]byte)
		y, _ := k.number(-3).([]byte)
		if len(x) != 32 || len(y) != 32 {
			return nil
		}
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
		if err != nil {
			return nil
		}
		return key
	case kind == int64(1) && algorithm == int64(-8) && first == int64(6): // Ed25519
		if x, _ := second.([]byte); len(x) == ed25519.PublicKeySize {
			return ed25519.PublicKey(bytes.Clone(x))
		}
	case kind == int64(3) && algorithm == int64(-257):
		n, _ := first.([]byte)
		e, _ := second.([]byte)
		modulus := new(big.Int).SetBytes(n)
		if bits := modulus.BitLen(); bits < minRSA || bits > maxRSA || modulus.Bit(0) == 0 || !bytes.Equal(e, []byte{1, 0, 1}) {
			return nil
		}
		return &rsa.PublicKey{N: modulus, E: exponent}
	}
	return nil
}

// signed reports whether a key signed an answer.
func signed(key crypto.PublicKey, a Answer) bool {
	client := sha256.Sum256(a.ClientData)
	message := append(bytes.Clone(a.Authenticator), client[:]...)
	digest := sha256.Sum256(message)
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		return k.Curve == elliptic.P256() && ecdsa.VerifyASN1(k, digest[:], a.Signature)
	case ed25519.PublicKey:
		return ed25519.Verify(k, message, a.Signature)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(k, crypto.SHA256, digest[:], a.Signature) == nil
	}
	return false
}
