package witness

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/session"
)

// A cosignature is another node's word that a log had come so far and had told one
// history until then (c2sp.org/tlog-cosignature): one more line under the note.

// Cosigner is an accepted node that cosigned a checkpoint.
type Cosigner struct {
	Node session.Node
	At   time.Time
}

const (
	cosignatureKind = 0x04 // of the key, in C2SP's hash of it
	cosignatureSize = 4 + 8 + SignatureSize
	signatureDash   = "— "
)

// cosignatureKey names a cosigner's key in four bytes.
func cosignatureKey(origin string, pub ed25519.PublicKey) [4]byte {
	sum := sha256.Sum256(append([]byte(origin+"\n"), append([]byte{cosignatureKind}, pub...)...))
	return [4]byte(sum[:4])
}

func cosignatureText(c Checkpoint, at int64) []byte {
	return fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, c.text())
}

// Cosign makes the line with which the node of this origin cosigns a checkpoint. The
// caller has verified it, and that it goes on from the one before.
func Cosign(c Checkpoint, origin string, s crypto.Signer, at time.Time) ([]byte, error) {
	pub, err := PublicKey(s)
	if err != nil {
		return nil, err
	}
	if !session.ValidOrigin(origin) || at.Unix() < 0 {
		return nil, fmt.Errorf("%.80q cannot cosign", origin)
	}
	sig, err := s.Sign(rand.Reader, cosignatureText(c, at.Unix()), crypto.Hash(0))
	if err != nil {
		return nil, fmt.Errorf("cosign a checkpoint: %w", err)
	}
	key := cosignatureKey(origin, pub)
	b := append(binary.BigEndian.AppendUint64(key[:], uint64(at.Unix())), sig...)
	return []byte(signatureDash + origin + " " + base64.StdEncoding.EncodeToString(b) + "\n"), nil
}

// Cosigners are the accepted nodes, other than the log's own, whose cosignatures of a
// signed checkpoint hold.
func Cosigners(signed []byte, nodes session.Nodes) []Cosigner {
	c, err := ReadCheckpoint(signed)
	if err != nil {
		return nil
	}
	var all []Cosigner
	for _, n := range nodes {
		pub, err := session.ParseKeyLine(n.Key)
		if err != nil || n.Origin == c.Origin {
			continue
		}
		for line := range strings.Lines(strings.TrimPrefix(string(signed), c.text()+"\n")) {
			if at, ok := cosigned(c, line, n.Origin, pub); ok {
				all = append(all, Cosigner{Node: n, At: at})
				break
			}
		}
	}
	return all
}

func cosigned(c Checkpoint, line, origin string, pub ed25519.PublicKey) (time.Time, bool) {
	text, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), signatureDash+origin+" ")
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if !ok || err != nil || len(b) != cosignatureSize || [4]byte(b) != cosignatureKey(origin, pub) || b[4]&0x80 != 0 {
		return time.Time{}, false
	}
	at := int64(binary.BigEndian.Uint64(b[4:]))
	return time.Unix(at, 0).UTC(), ed25519.Verify(pub, cosignatureText(c, at), b[12:])
}
