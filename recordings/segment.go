package recordings

import (
	"bytes"
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
	chainedSize    = 104 // of the descriptor: what is known when the last frame is written
	descriptorSize = 144
	segmentHead    = descriptorSize + witness.SignatureSize

	codecRaw  = 0
	codecZstd = 1
)

// descriptor says what a closed segment holds.
type descriptor struct {
	extent
	codec      uint32
	stored     uint32
	storedHash [32]byte
}

// extent is the part of it that the chain covers: what was recorded, however it is stored.
type extent struct {
	index     uint32
	frames    uint32
	events    uint32
	plain     uint32
	first     int64
	last      int64
	prev      [32]byte
	plainHash [32]byte
}

func (e extent) bytes() []byte {
	b := append(make([]byte, 0, segmentHead), segmentMagic...)
	for _, v := range []uint32{e.index, e.frames, e.events, e.plain} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(e.first))
	b = binary.BigEndian.AppendUint64(b, uint64(e.last))
	b = append(b, e.prev[:]...)
	return append(b, e.plainHash[:]...)
}

func (d descriptor) bytes() []byte {
	b := d.extent.bytes()
	b = binary.BigEndian.AppendUint32(b, d.codec)
	b = binary.BigEndian.AppendUint32(b, d.stored)
	return append(b, d.storedHash[:]...)
}

// raw is a segment that is stored as it was recorded.
func raw(e extent) descriptor {
	return descriptor{extent: e, codec: codecRaw, stored: e.plain, storedHash: e.plainHash}
}

// parseDescriptor reads a descriptor and refuses figures that cannot be.
func parseDescriptor(b []byte) (descriptor, error) {
	if len(b) < descriptorSize || string(b[:magicSize]) != segmentMagic {
		return descriptor{}, fmt.Errorf("it does not begin with %q", segmentMagic)
	}
	u32 := func(at int) uint32 { return binary.BigEndian.Uint32(b[at:]) }
	d := descriptor{
		extent: extent{
			index: u32(8), frames: u32(12), events: u32(16), plain: u32(20),
			first:     int64(binary.BigEndian.Uint64(b[24:])),
			last:      int64(binary.BigEndian.Uint64(b[32:])),
			prev:      [32]byte(b[40:]),
			plainHash: [32]byte(b[72:]),
		},
		codec: u32(104), stored: u32(108), storedHash: [32]byte(b[112:]),
	}
	switch {
	case d.codec != codecRaw && d.codec != codecZstd:
		return descriptor{}, errors.New("it is packed in an unknown way")
	case d.plain > MaxSegmentPlain || d.stored > MaxSegmentBytes || d.index >= MaxSegments:
		return descriptor{}, fmt.Errorf("its figures are %w", errTooLong)
	case d.codec == codecRaw && d != raw(d.extent):
		return descriptor{}, errors.New("it is stored as it was recorded, and says otherwise")
	}
	return d, nil
}

const chainDomain = "sallyport/v1/recording-chain\x00"

// chainStart is the chain before the first segment: it hangs on the whole header part.
func chainStart(header []byte) [32]byte {
	return sha256.Sum256(append([]byte(chainDomain), header...))
}

// chainNext is the chain after a segment, which holds the chain before it.
func chainNext(e extent) [32]byte {
	return sha256.Sum256(append([]byte(chainDomain), e.bytes()...))
}

// packer compresses segments; not safe for concurrent use.
type packer struct {
	zstd *zstd.Encoder
	part []byte // reused: what pack returned last
	read []byte // reused: a segment that is read back
}

func newPacker() (*packer, error) {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(zstdWindow), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
	return &packer{zstd: e, part: make([]byte, segmentHead)}, err
}

// shrinks probes whether packing size bytes is worth it. A small segment is its own probe.
func (p *packer) shrinks(from io.ReaderAt, size int64) (bool, error) {
	if size <= 3*probeBytes {
		return true, nil
	}
	sample := make([]byte, 3*probeBytes)
	for i := range int64(3) {
		if _, err := from.ReadAt(sample[i*probeBytes:(i+1)*probeBytes], i*(size-probeBytes)/2); err != nil {
			return false, err
		}
	}
	p.part = p.zstd.EncodeAll(sample, p.part[:segmentHead])
	return len(p.part)-segmentHead < len(sample)*9/10, nil
}

// pack makes the part of a segment from its plain bytes; what does not shrink is stored
// raw. The part is good until the next pack.
func (p *packer) pack(s crypto.Signer, e extent, plain []byte) ([]byte, descriptor, error) {
	p.part = p.zstd.EncodeAll(plain, p.part[:segmentHead])
	d := raw(e)
	if n := len(p.part) - segmentHead; n < len(plain) {
		d.codec, d.stored, d.storedHash = codecZstd, uint32(n), sha256.Sum256(p.part[segmentHead:])
	} else {
		p.part = append(p.part[:segmentHead], plain...)
	}
	head, err := d.signed(s)
	copy(p.part, head)
	return p.part, d, err
}

// signed is a descriptor with its signature, as it stands before the stored bytes.
func (d descriptor) signed(s crypto.Signer) ([]byte, error) {
	head := d.bytes()
	sig, err := witness.Sign(s, witness.Segment, head)
	return append(head, sig[:]...), err
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

// checkSegmentHead checks descriptor and signature at the front of a segment part.
func checkSegmentHead(head []byte, pub ed25519.PublicKey) (descriptor, error) {
	d, err := parseDescriptor(head)
	switch {
	case err != nil:
		return descriptor{}, err
	case len(head) < segmentHead:
		return descriptor{}, errors.New("its length is wrong")
	case pub != nil && !witness.Verify(pub, witness.Segment, head[:descriptorSize], head[descriptorSize:segmentHead]):
		return descriptor{}, errors.New("its signature does not fit")
	}
	return d, nil
}

// checkSegment checks a segment part as a whole against nothing but itself and,
// where it is given, the key: shape, length, signature, stored hash.
func checkSegment(part []byte, pub ed25519.PublicKey) (descriptor, error) {
	d, err := checkSegmentHead(part, pub)
	switch {
	case err != nil:
		return descriptor{}, err
	case len(part) != segmentHead+int(d.stored):
		return descriptor{}, errors.New("its length is wrong")
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
	if d.codec == codecRaw {
		return stored, nil
	}
	plain, err := u.zstd.DecodeAll(stored, make([]byte, 0, d.plain))
	if err != nil {
		return nil, fmt.Errorf("it does not unpack: %w", err)
	}
	if len(plain) != int(d.plain) {
		return nil, errors.New("it unpacks to another length than was signed")
	}
	return plain, nil
}

// stream is unpack without a place for all of it at once.
func (u unpacker) stream(d descriptor, stored []byte) (io.Reader, error) {
	if d.codec == codecRaw {
		return bytes.NewReader(stored), nil
	}
	if err := u.zstd.Reset(bytes.NewReader(stored)); err != nil {
		return nil, fmt.Errorf("it does not unpack: %w", err)
	}
	return io.LimitReader(u.zstd, int64(d.plain)), nil
}
