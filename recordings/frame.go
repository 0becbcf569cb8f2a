package recordings

import (
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// A frame is 4 bytes length of data, 1 kind, 1 flags, 4 stream, 8 at, data, 4 check.
const (
	frameHead  = 18
	frameCheck = 4

	flagSealed = 1 // data is ciphertext under the recording's input key
)

// Frames of the container's own; events have small letters.
const (
	kindBegin    = 'B' // first of each segment
	kindHead     = 'H' // a signed head
	kindSnapshot = 'K' // a piece of what stands at the segment's begin, for seeking
)

const beginSize = 84 // 16 recording, 4 index, 32 prev, 8 wall, 8 boot, 16 random

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errShort: the bytes end before the frame does.
var errShort = errors.New("the bytes end inside a frame")

type frame struct {
	kind   byte
	flags  byte
	stream uint32
	at     int64
	data   []byte
}

// openFrame appends the head of a frame whose data will have n bytes.
func openFrame(b []byte, f frame, n int) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	b = append(b, f.kind, f.flags)
	b = binary.BigEndian.AppendUint32(b, f.stream)
	return binary.BigEndian.AppendUint64(b, uint64(f.at))
}

// nextCheck chains the checksums of a segment: that of a frame covers the one before it.
func nextCheck(prev uint32, b []byte) uint32 {
	var p [4]byte
	binary.BigEndian.PutUint32(p[:], prev)
	return crc32.Update(crc32.Update(0, castagnoli, p[:]), castagnoli, b)
}

func beginData(id session.ID, index uint32, prev [32]byte, wall, boot int64) []byte {
	b := append([]byte(nil), id[:]...)
	b = binary.BigEndian.AppendUint32(b, index)
	b = append(b, prev[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(wall))
	b = binary.BigEndian.AppendUint64(b, uint64(boot))
	var unguessed [16]byte // a plain hash confirms no guess about sealed content
	_, _ = rand.Read(unguessed[:])
	return append(b, unguessed[:]...)
}

// tally is what the frames of one segment amount to so far. Writer, reader and
// repair keep the same one.
type tally struct {
	offset int64 // plain bytes
	frames uint32
	events uint32
	first  int64 // at of the first frame
	last   int64 // at of the last frame
	check  uint32
	hash   hash.Hash
}

func newTally() tally { return tally{hash: sha256.New()} }

func (t *tally) sum() (s [32]byte) {
	t.hash.Sum(s[:0])
	return s
}

// extent is what the frames amount to at a place in a recording.
func (t *tally) extent(index uint32, prev [32]byte) extent {
	return extent{index: index, frames: t.frames, events: t.events, plain: uint32(t.offset),
		first: t.first, last: t.last, prev: prev, plainHash: t.sum()}
}

// add counts one whole frame, b.
func (t *tally) add(f frame, b []byte) {
	t.hash.Write(b)
	t.check = binary.BigEndian.Uint32(b[len(b)-frameCheck:])
	t.offset += int64(len(b))
	if t.frames == 0 {
		t.first = f.at
	}
	t.frames++
	t.last = f.at
	if isEvent(f.kind) {
		t.events++
	}
}

func isEvent(kind byte) bool { return kind >= 'a' && kind <= 'z' }

// scanner reads the frames of one segment and believes none of them.
type scanner struct {
	tally
	id    session.ID
	pub   ed25519.PublicKey
	index uint32
	prev  [32]byte // chain before this segment
	floor int64    // no frame may be earlier: at of the last frame of the segment before
	heads func(witness.Head)
	snaps snapshots
}

// next takes one frame from the front of b and returns it with its length in b.
// errShort means that more bytes are needed; any other error is damage.
func (s *scanner) next(b []byte) (frame, int, error) {
	if len(b) < frameHead+frameCheck {
		return frame{}, 0, errShort
	}
	n := binary.BigEndian.Uint32(b)
	if n > maxFrameData {
		return frame{}, 0, fmt.Errorf("a frame %w", errTooLong)
	}
	size := frameHead + int(n) + frameCheck
	if len(b) < size {
		return frame{}, 0, errShort
	}
	b = b[:size:size]
	if binary.BigEndian.Uint32(b[size-frameCheck:]) != nextCheck(s.check, b[:size-frameCheck]) {
		return frame{}, 0, errors.New("a frame's checksum does not fit")
	}
	f := frame{
		kind:   b[4],
		flags:  b[5],
		stream: binary.BigEndian.Uint32(b[6:]),
		at:     int64(binary.BigEndian.Uint64(b[10:])),
		data:   b[frameHead : size-frameCheck],
	}
	if err := s.believe(f); err != nil {
		return frame{}, 0, err
	}
	s.add(f, b)
	return f, size, nil
}

// believe checks what a frame says against what came before it.
func (s *scanner) believe(f frame) error {
	switch {
	case s.offset+int64(frameHead+len(f.data)+frameCheck) > MaxSegmentPlain:
		return fmt.Errorf("the segment is %w", errTooLong)
	case f.at < 0 || f.at < s.floor || f.at < s.last:
		return errors.New("time runs backwards")
	case (s.frames == 0) != (f.kind == kindBegin):
		return errors.New("the segment's opening frame is missing or repeated")
	case f.flags&^flagSealed != 0:
		return errors.New("a frame has unknown flags")
	case s.snaps.more && f.kind != kindSnapshot:
		return errors.New("a snapshot ends before its last piece")
	}
	switch {
	case f.kind == kindBegin:
		return s.begun(f)
	case f.kind == kindHead:
		return s.headed(f)
	case f.kind == kindSnapshot:
		return s.snaps.take(f)
	case !isEvent(f.kind):
		return errors.New("a frame of unknown kind")
	}
	sealed := f.flags&flagSealed != 0
	if session.EventKind(f.kind).Sealed() && !sealed {
		return errors.New("an event that must be sealed is not")
	}
	if sealed && len(f.data) < sealOverhead || !sealed && len(f.data) > session.MaxEventData {
		return errors.New("an event has a length that cannot be")
	}
	return nil
}

func (s *scanner) begun(f frame) error {
	if len(f.data) != beginSize || f.flags != 0 || f.stream != 0 ||
		session.ID(f.data[:16]) != s.id || binary.BigEndian.Uint32(f.data[16:]) != s.index || [32]byte(f.data[20:52]) != s.prev {
		return errors.New("the segment's opening frame belongs elsewhere")
	}
	return nil
}

func (s *scanner) headed(f frame) error {
	h, err := witness.ParseHead(f.data)
	if err != nil {
		return err
	}
	if f.flags != 0 || f.stream != 0 || h.Recording != s.id || h.Segment != s.index || h.Chain != s.prev ||
		h.Offset != uint64(s.offset) || h.At != f.at || h.Plain != s.sum() {
		return errors.New("a signed head does not fit what it covers")
	}
	if !h.Verify(s.pub) {
		return errors.New("the signature of a head does not fit")
	}
	if s.heads != nil {
		s.heads(h)
	}
	return nil
}

// eachFrame calls f with one whole frame after another, which is valid until f returns.
func eachFrame(in io.Reader, f func(b []byte) error) error {
	r := bufio.NewReaderSize(in, frameHead+maxFrameData+frameCheck)
	for {
		head, err := r.Peek(frameHead)
		if err == io.EOF && len(head) == 0 {
			return nil
		}
		if err != nil {
			return orShort(err)
		}
		n := binary.BigEndian.Uint32(head)
		if n > maxFrameData {
			return errShort
		}
		b, err := r.Peek(frameHead + int(n) + frameCheck)
		if err != nil {
			return orShort(err)
		}
		if err := f(b); err != nil {
			return err
		}
		_, _ = r.Discard(len(b))
	}
}

func orShort(err error) error {
	if err == io.EOF {
		return errShort
	}
	return err
}
