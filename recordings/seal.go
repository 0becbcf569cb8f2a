package recordings

import (
	"crypto"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
)

// totals is what the closed parts of a recording amount to. Writer, reader and
// repair keep the same ones; the seal states them.
type totals struct {
	segments uint32
	events   uint64
	plain    int64
	stored   int64 // header and segments
	at       int64
	chain    [32]byte
}

func newTotals(header []byte) totals {
	return totals{stored: int64(len(header)), chain: chainStart(header)}
}

func (t *totals) add(d descriptor) {
	t.segments++
	t.events += uint64(d.events)
	t.plain += int64(d.plain)
	t.stored += segmentHead + int64(d.stored)
	t.at = d.last
	t.chain = chainNext(d.extent)
}

// binder turns open segments into closed ones and closes the recording. Repair packs,
// signs and seals by the same code as Close.
type binder struct {
	disk   disk
	signer crypto.Signer
	pub    ed25519.PublicKey
	id     session.ID
	header Header
	packer *packer
	totals totals
}

func newBinder(d disk, s crypto.Signer, header []byte, o opening) (*binder, error) {
	pub, err := witness.PublicKey(s)
	if err != nil {
		return nil, err
	}
	if session.KeyLine(pub) != o.Signer {
		return nil, errors.New("the recording was begun with another identity key")
	}
	id, err := session.ParseRecordingID(o.Session.Recording)
	if err != nil {
		return nil, err
	}
	p, err := newPacker()
	if err != nil {
		return nil, err
	}
	return &binder{disk: d, signer: s, pub: pub, id: id, header: o.Session, packer: p, totals: newTotals(header)}, nil
}

// closeSegment signs and publishes a segment that ended: packed in a new file when that
// is shorter, otherwise its own file gets its head and its name.
func (b *binder) closeSegment(s *openSegment) error {
	d, err := b.packed(s)
	if err == nil && d.codec == codecRaw {
		err = b.finish(s, d)
	}
	if err = errors.Join(err, s.file.Close()); err != nil {
		return fmt.Errorf("close segment %d: %w", s.closed.index, err)
	}
	open, name := openName(d.index), SegmentPart(d.index)
	if d.codec == codecRaw {
		err = b.disk.rename(open, name)
	} else if err = b.disk.commit(name, b.packer.part); err == nil {
		err = b.disk.remove(open)
	}
	if err != nil {
		return fmt.Errorf("write segment %d: %w", d.index, err)
	}
	b.totals.add(d)
	return nil
}

// packed leaves the segment's part in the packer where it shrinks.
func (b *binder) packed(s *openSegment) (descriptor, error) {
	size := int64(s.closed.plain)
	from := io.NewSectionReader(s.file, segmentHead, size)
	if shrinks, err := b.packer.shrinks(from, size); err != nil || !shrinks {
		return raw(s.closed), err
	}
	b.packer.read = slices.Grow(b.packer.read[:0], int(size))[:size]
	plain := b.packer.read
	if _, err := io.ReadFull(from, plain); err != nil {
		return descriptor{}, err
	}
	if checkOf(plain) != s.check {
		return descriptor{}, errors.New("the open segment on disk is not what was written")
	}
	_, d, err := b.packer.pack(b.signer, s.closed, plain)
	if cap(plain) > 2*segmentBytes { // bulk: the next one may be small
		b.packer.read = nil
	}
	return d, err
}

// finish writes the head of a segment that stays as it is.
func (b *binder) finish(s *openSegment, d descriptor) error {
	head, err := d.signed(b.signer)
	if err != nil {
		return err
	}
	if _, err := s.file.WriteAt(head, 0); err != nil {
		return err
	}
	return s.file.Sync()
}

// checkOf is the checksum of the last frame of a segment, each over the one before.
func checkOf(plain []byte) (check uint32) {
	for len(plain) >= frameHead+frameCheck {
		n := uint64(binary.BigEndian.Uint32(plain)) + frameHead
		if n+frameCheck > uint64(len(plain)) {
			break
		}
		check, plain = nextCheck(check, plain[:n]), plain[n+frameCheck:]
	}
	return check
}

// repairSegment closes as much of the next open segment as is sound. whole tells whether
// that is all of it, so that the segment after it hangs on it.
func (b *binder) repairSegment() (dropped int64, whole bool, err error) {
	name := openName(b.totals.segments)
	file, err := b.disk.read(name)
	if err != nil {
		return 0, false, fmt.Errorf("read the open segment: %w", err)
	}
	plain := framesOf(file)
	s := scanner{tally: newTally(), id: b.id, pub: b.pub, index: b.totals.segments, prev: b.totals.chain, floor: b.totals.at}
	for err == nil {
		_, _, err = s.next(plain[s.offset:])
	}
	dropped, whole = int64(len(plain))-s.offset, s.events > 0 && s.offset == int64(len(plain))
	if s.events > 0 {
		part, d, err := b.packer.pack(b.signer, s.extent(s.index, s.prev), plain[:s.offset])
		if err != nil {
			return 0, false, err
		}
		if err := b.disk.commit(SegmentPart(d.index), part); err != nil {
			return 0, false, fmt.Errorf("write segment %d: %w", d.index, err)
		}
		b.totals.add(d)
	}
	if err := b.disk.remove(name); err != nil {
		return 0, false, fmt.Errorf("remove the open segment: %w", err)
	}
	return dropped, whole, nil
}

// repair closes what is sound of all open segments. Once something is missing, nothing
// that was written after it can be believed; it is counted and goes.
func (b *binder) repair() (dropped int64, err error) {
	for whole := true; whole; {
		var lost int64
		lost, whole, err = b.repairSegment()
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return 0, err
		}
		dropped += lost
	}
	for n := range uint32(maxUnclosed + 2) {
		name := openName(b.totals.segments + n)
		file, err := b.disk.read(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			dropped += int64(len(framesOf(file)))
			err = b.disk.remove(name)
		}
		if err != nil {
			return 0, fmt.Errorf("remove an open segment: %w", err)
		}
	}
	return dropped, nil
}

// seal writes the last part.
func (b *binder) seal(info SealInfo) (SealInfo, error) {
	info.V, info.Recording, info.Boot = 1, b.header.Recording, bootMicros()
	info.Ended = info.Ended.UTC().Truncate(time.Microsecond)
	info.Segments, info.Events, info.At = b.totals.segments, b.totals.events, b.totals.at
	info.Plain, info.Stored, info.Chain = b.totals.plain, b.totals.stored, hex.EncodeToString(b.totals.chain[:])
	part, err := signDocument(b.signer, witness.Seal, sealMagic, info)
	if err != nil {
		return SealInfo{}, err
	}
	if err := b.disk.commit(SealPart, part); err != nil {
		return SealInfo{}, fmt.Errorf("write the seal: %w", err)
	}
	return info, nil
}

// tear closes what is sound of the open segments and seals as torn.
func (b *binder) tear(info SealInfo) (SealInfo, error) {
	dropped, err := b.repair()
	if err != nil {
		return SealInfo{}, err
	}
	if info.Ended.IsZero() { // it ended with its last frame, as far as anyone knows
		info.Ended = b.header.Started.Add(time.Duration(b.totals.at) * time.Microsecond)
	}
	info.State, info.Dropped = Torn, dropped
	return b.seal(info)
}

// Recover seals the recording in dir that a crash or a full disk left open, marked torn,
// with the reason for which it ended: the longest sound beginning of its open segments is
// kept, the rest counted. signer must
// be the key that began it. A recording that has its seal is left alone, so calling
// it again does nothing. A directory without a header (fs.ErrNotExist) holds no
// recording; the crash came before the first byte. No Writer may be at work in dir.
func Recover(dir string, signer crypto.Signer, reason session.EndReason) (SealInfo, error) {
	d, err := openDirectory(dir)
	if err != nil {
		return SealInfo{}, fmt.Errorf("recover a recording: %w", err)
	}
	defer d.close()
	info, err := recoverOn(d, signer, reason)
	if err != nil {
		return SealInfo{}, fmt.Errorf("recover a recording: %w", err)
	}
	return info, nil
}

func recoverOn(d *directory, signer crypto.Signer, reason session.EndReason) (SealInfo, error) {
	if err := durable.Sweep(d.root.Name()); err != nil {
		return SealInfo{}, err
	}
	header, err := d.read(HeaderPart)
	if err != nil {
		return SealInfo{}, err
	}
	o, pub, err := parseHeader(header)
	if err != nil {
		return SealInfo{}, fmt.Errorf("header: %w", err)
	}
	switch part, err := d.read(SealPart); {
	case err == nil:
		return parseSeal(part, pub)
	case !errors.Is(err, fs.ErrNotExist):
		return SealInfo{}, err
	}
	b, err := newBinder(d, signer, header, o)
	if err != nil {
		return SealInfo{}, err
	}
	if err := b.recount(d); err != nil {
		return SealInfo{}, err
	}
	return b.tear(SealInfo{Reason: reason})
}

// recount goes over the closed segments again, by their heads alone: what they hold was
// signed, and is checked by whoever reads it. Each hangs on the one before, so that the
// last signature stands for what all of them recorded. A chain that is broken cannot be
// sealed over.
func (b *binder) recount(d *directory) error {
	var last []byte
	for {
		n := b.totals.segments
		head, size, err := d.head(SegmentPart(n))
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return err
		}
		closed, err := headOf(SegmentPart(n), head, size, nil)
		if err == nil && closed.prev != b.totals.chain {
			err = errors.New("it belongs elsewhere")
		}
		if err != nil {
			return fmt.Errorf("segment %d: %w", n, err)
		}
		b.totals.add(closed)
		last = head
		if err := ignoreMissing(b.disk.remove(openName(n))); err != nil {
			return err
		}
	}
	if last == nil {
		return nil
	}
	if _, err := checkSegmentHead(last, b.pub); err != nil {
		return fmt.Errorf("segment %d: %w", b.totals.segments-1, err)
	}
	return nil
}
