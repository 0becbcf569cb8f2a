// Package witness holds what is signed about a recording and how: one place for
// the domains that keep a signature from being read as another one, and the head,
// the agent's statement of how far a recording had come at a moment. It knows keys
// and bytes, and nothing of files, networks or storage.
//
// The broker's countersignature is made over the 180 bytes of a signed head and its
// own time, in a domain of its own: neither side can say what only the other may.
package witness

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/sallyport/sallyport/session"
)

// Domain names what a signature is about. The signed message is the domain, a zero
// byte and the bytes, so no signature of one domain is valid in another.
type Domain string

// The domains of the agent's identity key in recordings.
const (
	Header  Domain = "sallyport/v1/recording-header"
	Segment Domain = "sallyport/v1/recording-segment"
	AtHead  Domain = "sallyport/v1/recording-head"
	Seal    Domain = "sallyport/v1/recording-seal"
	Papers  Domain = "sallyport/v1/recording-papers"
	List    Domain = "sallyport/v1/recording-receipts"
)

// The domains of the broker's countersigning key.
const (
	Countersign Domain = "sallyport/v1/recording-countersignature"
	Pack        Domain = "sallyport/v1/evidence-pack"
)

// SignatureSize is the length of every signature, in bytes.
const SignatureSize = ed25519.SignatureSize

func (d Domain) message(body []byte) []byte {
	m := make([]byte, 0, len(d)+1+len(body))
	m = append(m, d...)
	m = append(m, 0)
	return append(m, body...)
}

// PublicKey is the ed25519 key of a signer; any other kind of key is refused.
func PublicKey(s crypto.Signer) (ed25519.PublicKey, error) {
	if s == nil {
		return nil, fmt.Errorf("no signing key")
	}
	pub, ok := s.Public().(ed25519.PublicKey)
	if !ok || len(pub) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("the signing key is not an ed25519 key")
	}
	return pub, nil
}

// Sign signs body in a domain with an ed25519 key.
func Sign(s crypto.Signer, d Domain, body []byte) ([SignatureSize]byte, error) {
	var out [SignatureSize]byte
	if _, err := PublicKey(s); err != nil {
		return out, err
	}
	sig, err := s.Sign(rand.Reader, d.message(body), crypto.Hash(0))
	if err != nil {
		return out, fmt.Errorf("sign %s: %w", d, err)
	}
	if len(sig) != SignatureSize {
		return out, fmt.Errorf("sign %s: signature of %d bytes", d, len(sig))
	}
	copy(out[:], sig)
	return out, nil
}

// Verify reports whether sig is pub's signature of body in a domain.
func Verify(pub ed25519.PublicKey, d Domain, body, sig []byte) bool {
	return len(pub) == ed25519.PublicKeySize && len(sig) == SignatureSize &&
		ed25519.Verify(pub, d.message(body), sig)
}

// Head states how far a recording had come: everything before Offset of segment
// Segment, and all segments before that one.
type Head struct {
	Recording session.ID
	Segment   uint32   // the open segment
	Offset    uint64   // plain bytes of it that the head covers
	At        int64    // microseconds since the recording began
	Wall      int64    // wall clock, microseconds since 1970 UTC
	Boot      int64    // microseconds since the machine started, suspended time included; 0: unknown
	Chain     [32]byte // hash over all closed segments
	Plain     [32]byte // SHA-256 of the Offset bytes
	Signature [SignatureSize]byte
}

// HeadSize is the length of a signed head, in bytes: 16 recording, 4 segment,
// 8 offset, 8 at, 8 wall, 8 boot, 32 chain, 32 plain, 64 signature; integers are
// big endian.
const HeadSize = 116 + SignatureSize

func emptyPlain() [32]byte { return sha256.Sum256(nil) }

func (h Head) statement() []byte {
	b := make([]byte, 0, HeadSize)
	b = append(b, h.Recording[:]...)
	b = binary.BigEndian.AppendUint32(b, h.Segment)
	b = binary.BigEndian.AppendUint64(b, h.Offset)
	b = binary.BigEndian.AppendUint64(b, uint64(h.At))
	b = binary.BigEndian.AppendUint64(b, uint64(h.Wall))
	b = binary.BigEndian.AppendUint64(b, uint64(h.Boot))
	b = append(b, h.Chain[:]...)
	return append(b, h.Plain[:]...)
}

// Signed returns the head with a signature.
func (h Head) Signed(s crypto.Signer) (Head, error) {
	sig, err := Sign(s, AtHead, h.statement())
	h.Signature = sig
	return h, err
}

// Verify reports whether pub signed the head.
func (h Head) Verify(pub ed25519.PublicKey) bool {
	return Verify(pub, AtHead, h.statement(), h.Signature[:])
}

// Bytes is the signed head as it stands in a recording.
func (h Head) Bytes() []byte { return append(h.statement(), h.Signature[:]...) }

// ParseHead reads what Bytes writes. It checks the shape, not the signature.
func ParseHead(b []byte) (Head, error) {
	if len(b) != HeadSize {
		return Head{}, fmt.Errorf("a head has %d bytes, not %d", HeadSize, len(b))
	}
	var h Head
	copy(h.Recording[:], b)
	h.Segment = binary.BigEndian.Uint32(b[16:])
	h.Offset = binary.BigEndian.Uint64(b[20:])
	h.At = int64(binary.BigEndian.Uint64(b[28:]))
	h.Wall = int64(binary.BigEndian.Uint64(b[36:]))
	h.Boot = int64(binary.BigEndian.Uint64(b[44:]))
	copy(h.Chain[:], b[52:])
	copy(h.Plain[:], b[84:])
	copy(h.Signature[:], b[116:])
	return h, nil
}
