package recordings

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/sallyport/sallyport/recordings/witness"
)

// A segment part is a descriptor, its signature and the stored bytes.
const (
	descriptorSize = 144
	segmentHead    = descriptorSize + witness.SignatureSize
	codecZstd      = 1
	zstdWindow     = 512 << 10
)

// descriptor says what a closed segment holds.
type descriptor struct {
	index      uint32
	codec      uint32
	frames     uint32
	events     uint32
	plain      uint32
	stored     uint32
	first      int64
	last       int64
	prev       [32]byte
	plainHash  [32]byte
	storedHash [32]byte
}

func (d descriptor) bytes() []byte {
	b := append(make([]byte, 0, segmentHead), segmentMagic...)
	for _, v := range []uint32{d.index, d.codec, d.frames, d.events, d.plain, d.stored} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(d.first))
	b = binary.BigEndian.AppendUint64(b, uint64(d.last))
	b = append(b, d.prev[:]...)
	b = append(b, d.plainHash[:]...)
	return append(b, d.storedHash[:]...)
}

// parseDescriptor reads a descriptor and refuses figures that cannot be.
func parseDescriptor(b []byte) (descriptor, error) {
	if len(b) < descriptorSize || string(b[:magicSize]) != segmentMagic {
		return descriptor{}, fmt.Errorf("it does not begin with %q", segmentMagic)
	}
	u32 := func(at int) uint32 { return binary.BigEndian.Uint32(b[at:]) }
	d := descriptor{
		index: u32(8), codec: u32(12), frames: u32(16), events: u32(20), plain: u32(24), stored: u32(28),
		first:      int64(binary.BigEndian.Uint64(b[32:])),
		last:       int64(binary.BigEndian.Uint64(b[40:])),
		prev:       [32]byte(b[48:]),
		plainHash:  [32]byte(b[80:]),
		storedHash: [32]byte(b[112:]),
	}
	switch {
	case d.codec != codecZstd:
		return descriptor{}, errors.New("it is packed in an unknown way")
	case d.plain > MaxSegmentPlain || d.stored > MaxSegmentBytes || d.index >= MaxSegments:
		return descriptor{}, fmt.Errorf("its figures are %w", errTooLong)
	}
	return d, nil
}

// chainStart is the chain before the first segment: it hangs on the whole header part.
func chainStart(header []byte) [32]byte {
	return sha256.Sum256(append([]byte("sallyport/v1/recording-chain\x00"), header...))
}

// chainNext is the chain after a segment. The descriptor holds the chain before it.
func chainNext(d descriptor) [32]byte {
	return sha256.Sum256(append([]byte("sallyport/v1/recording-chain\x00"), d.bytes()...))
}

// packer compresses segments; not safe for concurrent use.
type packer struct {
	zstd *zstd.Encoder
	part []byte // reused: what pack returned last
}

func newPacker() (*packer, error) {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(zstdWindow), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
	return &packer{zstd: e}, err
}

// pack makes the part of a segment from its plain bytes and their tally. The part is
// good until the next pack.
func (p *packer) pack(s crypto.Signer, index uint32, prev [32]byte, plain []byte, t *tally) ([]byte, descriptor, error) {
	if cap(p.part) < segmentHead {
		p.part = make([]byte, segmentHead, segmentHead+len(plain)/2+1024)
	}
	p.part = p.zstd.EncodeAll(plain, p.part[:segmentHead])
	stored := p.part
	d := descriptor{
		index: index, codec: codecZstd, frames: t.frames, events: t.events,
		plain: uint32(len(plain)), stored: uint32(len(stored) - segmentHead),
		first: t.first, last: t.last, prev: prev,
		plainHash: t.sum(), storedHash: sha256.Sum256(stored[segmentHead:]),
	}
	head := d.bytes()
	sig, err := witness.Sign(s, witness.Segment, head)
	if err != nil {
		return nil, descriptor{}, err
	}
	copy(stored, head)
	copy(stored[descriptorSize:], sig[:])
	return stored, d, nil
}

// readSegment reads one segment part from the front of r, bounded.
func readSegment(r io.Reader) ([]byte, error) {
	head := make([]byte, segmentHead)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	d, err := parseDescriptor(head)
	if err != nil {
		return nil, err
	}
	part := make([]byte, segmentHead+int(d.stored))
	copy(part, head)
	_, err = io.ReadFull(r, part[segmentHead:])
	return part, err
}

// checkSegment checks a segment part as a whole against nothing but itself and,
// where it is given, the key: shape, length, signature, stored hash.
func checkSegment(part []byte, pub ed25519.PublicKey) (descriptor, error) {
	d, err := parseDescriptor(part)
	switch {
	case err != nil:
		return descriptor{}, err
	case len(part) != segmentHead+int(d.stored):
		return descriptor{}, errors.New("its length is wrong")
	case pub != nil && !witness.Verify(pub, witness.Segment, part[:descriptorSize], part[descriptorSize:segmentHead]):
		return descriptor{}, errors.New("its signature does not fit")
	case sha256.Sum256(part[segmentHead:]) != d.storedHash:
		return descriptor{}, errStored
	}
	return d, nil
}

var errStored = errors.New("its content does not have the hash that was signed")

// unpacker decompresses segments and never makes more bytes than were signed for.
type unpacker struct{ zstd *zstd.Decoder }

func newUnpacker() (unpacker, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(MaxSegmentPlain),
		zstd.WithDecoderMaxMemory(MaxSegmentPlain), zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderLowmem(true))
	return unpacker{zstd: d}, err
}

func (u unpacker) unpack(d descriptor, stored []byte) ([]byte, error) {
	plain, err := u.zstd.DecodeAll(stored, make([]byte, 0, d.plain))
	if err != nil {
		return nil, fmt.Errorf("it does not unpack: %w", err)
	}
	if len(plain) != int(d.plain) {
		return nil, errors.New("it unpacks to another length than was signed")
	}
	return plain, nil
}
