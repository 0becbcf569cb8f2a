package witness

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/sallyport/sallyport/session"
)

// Checkpoint is how far a transparency log had come: its name, the number of its
// entries and the root of the tree over them (RFC 6962 hashes).
type Checkpoint struct {
	Origin string
	Size   int64
	Root   [32]byte
}

// ErrForked is in the chain when two signed checkpoints of one log cannot both be
// true: entries were taken away, changed, or two histories are told.
var ErrForked = errors.New("the log was rewritten")

// text is the body of a C2SP checkpoint (c2sp.org/tlog-checkpoint).
func (c Checkpoint) text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:]))
}

// logSigner signs notes with an ed25519 key. A note's text holds no zero byte, so
// no signature of it is one in a Domain.
type logSigner struct {
	name string
	hash uint32
	key  crypto.Signer
}

func (s logSigner) Name() string    { return s.name }
func (s logSigner) KeyHash() uint32 { return s.hash }
func (s logSigner) Sign(msg []byte) ([]byte, error) {
	return s.key.Sign(rand.Reader, msg, crypto.Hash(0))
}

// Signed is the checkpoint as a C2SP signed note (c2sp.org/signed-note), under the
// log's origin as the key's name.
func (c Checkpoint) Signed(s crypto.Signer) ([]byte, error) {
	pub, err := PublicKey(s)
	if err != nil {
		return nil, err
	}
	v, err := verifier(c.Origin, pub)
	if err != nil {
		return nil, err
	}
	signed, err := note.Sign(&note.Note{Text: c.text()}, logSigner{v.Name(), v.KeyHash(), s})
	if err != nil {
		return nil, fmt.Errorf("sign a checkpoint: %w", err)
	}
	return signed, nil
}

func verifier(origin string, pub ed25519.PublicKey) (note.Verifier, error) {
	if !session.ValidOrigin(origin) {
		return nil, fmt.Errorf("%.80q cannot name a log", origin)
	}
	key, err := note.NewEd25519VerifierKey(origin, pub)
	if err != nil {
		return nil, fmt.Errorf("the log's key: %w", err)
	}
	return note.NewVerifier(key)
}

// OpenCheckpoint reads a signed checkpoint that pub signed.
func OpenCheckpoint(signed []byte, pub ed25519.PublicKey) (Checkpoint, error) {
	c, err := ReadCheckpoint(signed)
	if err != nil {
		return Checkpoint{}, err
	}
	v, err := verifier(c.Origin, pub)
	if err != nil {
		return Checkpoint{}, err
	}
	n, err := note.Open(signed, note.VerifierList(v))
	if err != nil || n.Text != c.text() {
		return Checkpoint{}, fmt.Errorf("the checkpoint is not signed by the log's key")
	}
	return c, nil
}

// ReadCheckpoint reads what a checkpoint says without checking who signed it.
func ReadCheckpoint(signed []byte) (Checkpoint, error) {
	bad := fmt.Errorf("that is not a signed checkpoint")
	if len(signed) > MaxCheckpoint {
		return Checkpoint{}, bad
	}
	lines := strings.SplitN(string(signed), "\n", 5)
	if len(lines) != 5 || lines[3] != "" || !session.ValidOrigin(lines[0]) {
		return Checkpoint{}, bad
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	root, err2 := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || err2 != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] || len(root) != tlog.HashSize {
		return Checkpoint{}, bad
	}
	c := Checkpoint{Origin: lines[0], Size: size, Root: [32]byte(root)}
	signatures, ok := strings.CutPrefix(string(signed), c.text()+"\n")
	if !ok || !oneSpelling(signatures) {
		return Checkpoint{}, bad
	}
	return c, nil
}

// oneSpelling refuses signature lines whose base64 could be written in another way.
func oneSpelling(lines string) bool {
	for line := range strings.Lines(lines) {
		_, sig, ok := strings.Cut(strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "— "), " ")
		if _, err := base64.StdEncoding.Strict().DecodeString(sig); !ok || err != nil {
			return false
		}
	}
	return true
}

// Consistency is the proof that a log of New entries begins with the log of Old
// entries. Hashes are empty where Old is 0 or equals New.
type Consistency struct {
	Old    int64
	Hashes []tlog.Hash
}

// Bytes is the proof as it travels: 8 bytes Old, big endian, then 32 bytes a hash.
func (p Consistency) Bytes() []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(p.Old))
	for _, h := range p.Hashes {
		b = append(b, h[:]...)
	}
	return b
}

// ParseConsistency reads what Bytes writes.
func ParseConsistency(b []byte) (Consistency, error) {
	if len(b) < 8 || len(b) > 8+maxHashes*tlog.HashSize || (len(b)-8)%tlog.HashSize != 0 || b[0]&0x80 != 0 {
		return Consistency{}, fmt.Errorf("that is not a consistency proof")
	}
	p := Consistency{Old: int64(binary.BigEndian.Uint64(b))}
	for b = b[8:]; len(b) > 0; b = b[tlog.HashSize:] {
		p.Hashes = append(p.Hashes, tlog.Hash(b[:tlog.HashSize]))
	}
	return p, nil
}

// Follows checks that newer tells the same history as older and goes on from it.
// ErrForked is in the chain when it does not. A proof that starts elsewhere is
// another error: it says nothing about the log.
func Follows(older, newer Checkpoint, p Consistency) error {
	switch {
	case older.Origin != newer.Origin:
		return fmt.Errorf("%w: it was called %s and calls itself %s", ErrForked, older.Origin, newer.Origin)
	case newer.Size < older.Size:
		return fmt.Errorf("%w: it had %d entries and has %d", ErrForked, older.Size, newer.Size)
	case newer.Size == older.Size && newer.Root != older.Root:
		return fmt.Errorf("%w: it tells two histories of %d entries", ErrForked, newer.Size)
	case newer.Size == older.Size, older.Size == 0:
		return nil
	case p.Old != older.Size:
		return fmt.Errorf("the proof starts at %d entries, not at %d", p.Old, older.Size)
	}
	if err := tlog.CheckTree(p.Hashes, newer.Size, newer.Root, older.Size, older.Root); err != nil {
		return fmt.Errorf("%w: its %d entries do not begin with the %d that it had", ErrForked, newer.Size, older.Size)
	}
	return nil
}

// Inclusion is one entry of a log with the proof that a signed checkpoint covers it.
type Inclusion struct {
	Index      int64
	Entry      []byte // exact bytes
	Hashes     []tlog.Hash
	Checkpoint []byte // signed note
}

// ProofLine is the first line of an inclusion proof in a file (c2sp.org/tlog-proof).
const ProofLine = "c2sp.org/tlog-proof@v1"

// Text is the proof as a C2SP tlog-proof; the entry is its extra data.
func (p Inclusion) Text() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nextra %s\nindex %d\n", ProofLine, base64.StdEncoding.EncodeToString(p.Entry), p.Index)
	for _, h := range p.Hashes {
		fmt.Fprintln(&b, base64.StdEncoding.EncodeToString(h[:]))
	}
	b.WriteByte('\n')
	b.Write(p.Checkpoint)
	return b.Bytes()
}

// ParseInclusion reads what Text writes, and nothing else.
func ParseInclusion(text []byte) (Inclusion, error) {
	bad := fmt.Errorf("that is not an inclusion proof")
	head, signed, ok := strings.Cut(string(text), "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || len(text) > MaxInclusion || len(lines) < 3 || len(lines) > 3+maxHashes || lines[0] != ProofLine {
		return Inclusion{}, bad
	}
	extra, ok1 := strings.CutPrefix(lines[1], "extra ")
	index, ok2 := strings.CutPrefix(lines[2], "index ")
	entry, err1 := base64.StdEncoding.Strict().DecodeString(extra)
	n, err2 := strconv.ParseInt(index, 10, 64)
	if !ok1 || !ok2 || err1 != nil || err2 != nil || n < 0 {
		return Inclusion{}, bad
	}
	p := Inclusion{Index: n, Entry: entry, Checkpoint: []byte(signed)}
	for _, line := range lines[3:] {
		h, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(h) != tlog.HashSize {
			return Inclusion{}, bad
		}
		p.Hashes = append(p.Hashes, tlog.Hash(h))
	}
	if !bytes.Equal(p.Text(), text) {
		return Inclusion{}, bad
	}
	return p, nil
}

// Included checks that the checkpoint covers the entry. Who signed the checkpoint is
// checked against pub; without a key only the arithmetic is.
func (p Inclusion) Included(pub ed25519.PublicKey) (Checkpoint, error) {
	read := ReadCheckpoint
	if pub != nil {
		read = func(b []byte) (Checkpoint, error) { return OpenCheckpoint(b, pub) }
	}
	c, err := read(p.Checkpoint)
	if err != nil {
		return Checkpoint{}, err
	}
	if p.Index >= c.Size {
		return Checkpoint{}, fmt.Errorf("the checkpoint has %d entries and does not reach number %d", c.Size, p.Index)
	}
	if err := tlog.CheckRecord(p.Hashes, c.Size, c.Root, p.Index, LeafHash(p.Entry)); err != nil {
		return Checkpoint{}, fmt.Errorf("the entry is not number %d of the log", p.Index)
	}
	return c, nil
}

// LeafHash is the hash of an entry in its log's tree.
func LeafHash(entry []byte) [32]byte { return tlog.RecordHash(entry) }

// Roots computes the root over a log's leaf hashes and, on the way, over its first
// entries: sizes are those wanted, each at most len(leaves).
func Roots(leaves [][32]byte, sizes ...int64) ([][32]byte, error) {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			if x < 0 || x >= int64(len(stored)) {
				return nil, fmt.Errorf("hash %d is not there", x)
			}
			out[i] = stored[x]
		}
		return out, nil
	})
	for i, leaf := range leaves {
		more, err := tlog.StoredHashesForRecordHash(int64(i), leaf, reader)
		if err != nil {
			return nil, err
		}
		stored = append(stored, more...)
	}
	roots := make([][32]byte, len(sizes))
	for i, n := range sizes {
		if n < 0 || n > int64(len(leaves)) {
			return nil, fmt.Errorf("the log has %d entries, not %d", len(leaves), n)
		}
		root, err := tlog.TreeHash(n, reader)
		if err != nil {
			return nil, err
		}
		roots[i] = root
	}
	return roots, nil
}
