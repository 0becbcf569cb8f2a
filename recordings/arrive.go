package recordings

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/sallyport/sallyport/session"
)

// SegmentHead is how many bytes of a segment part say what the rest is.
const SegmentHead = segmentHead

// Segment is the index of a segment's part by its name.
func Segment(name string) (index uint32, ok bool) { return segmentIndex(name) }

// CheckSegmentHead checks the first bytes of a segment part of some size: its shape, and
// that it is the segment of this name. It finds what a bad disk did to those bytes.
func CheckSegmentHead(name string, head []byte, size int64) error {
	_, err := headOf(name, head, size, nil)
	return err
}

func headOf(name string, head []byte, size int64, key ed25519.PublicKey) (descriptor, error) {
	d, err := checkSegmentHead(head, key)
	index, ok := segmentIndex(name)
	switch {
	case err == nil && (!ok || d.index != index):
		err = fmt.Errorf("it is segment %d", d.index)
	case err == nil && size != segmentHead+int64(d.stored):
		err = errors.New("its length is wrong")
	}
	if err != nil {
		return descriptor{}, session.Errorf(session.Invalid, "check %.60q: %w", name, err)
	}
	return d, nil
}

// Arriving passes a segment part on and checks it on its way against its own signed
// descriptor, so that who sends it need not hash it. It ends with io.EOF only after size
// bytes that are what was signed. key is the recording's; nil: the signature is not checked.
func Arriving(name string, size int64, key ed25519.PublicKey, body io.Reader) (io.Reader, error) {
	head := make([]byte, segmentHead)
	if _, err := io.ReadFull(body, head); err != nil {
		return nil, fmt.Errorf("receive %.60q: %w", name, err)
	}
	d, err := headOf(name, head, size, key)
	if err != nil {
		return nil, err
	}
	a := &arriving{body: body, head: head, hash: sha256.New(), left: int64(d.stored), want: d.storedHash}
	return a, nil
}

type arriving struct {
	body io.Reader
	head []byte // not read yet
	hash hash.Hash
	left int64
	want [sha256.Size]byte
}

func (a *arriving) Read(p []byte) (int, error) {
	if len(a.head) > 0 {
		n := copy(p, a.head)
		a.head = a.head[n:]
		return n, nil
	}
	if a.left == 0 {
		if [sha256.Size]byte(a.hash.Sum(nil)) != a.want {
			return 0, session.Errorf(session.Invalid, "receive a segment: %w", errStored)
		}
		return 0, io.EOF
	}
	n, err := a.body.Read(p[:min(int64(len(p)), a.left)])
	a.hash.Write(p[:n])
	a.left -= int64(n)
	if errors.Is(err, io.EOF) {
		err = nil
		if a.left > 0 {
			err = io.ErrUnexpectedEOF
		}
	}
	return n, err
}
