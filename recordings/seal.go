package recordings

import (
	"crypto"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
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
	t.chain = chainNext(d)
}

// binder turns the open segment into a closed one and closes the recording. Close
// and repair are the same code with another state.
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

// closeSegment packs, signs and commits the open segment as far as it is sound, and
// removes its open file. dropped counts what was left out at its end. With whole
// set, the file must be sound to its end and hold exactly the bytes of that tally.
func (b *binder) closeSegment(whole *tally) (dropped int64, err error) {
	name := openName(b.totals.segments)
	plain, err := b.disk.read(name)
	if err != nil {
		return 0, fmt.Errorf("read the open segment: %w", err)
	}
	sound, t := b.soundPrefix(plain, whole)
	if t == nil {
		return 0, errors.New("the open segment on disk is not what was written")
	}
	dropped = int64(len(plain) - len(sound))
	if t.events > 0 {
		part, d, err := b.packer.pack(b.signer, b.totals.segments, b.totals.chain, sound, t)
		if err != nil {
			return 0, err
		}
		if err := b.disk.commit(SegmentPart(d.index), part); err != nil {
			return 0, fmt.Errorf("write segment %d: %w", d.index, err)
		}
		b.totals.add(d)
	}
	if err := b.disk.remove(name); err != nil {
		return 0, fmt.Errorf("remove the open segment: %w", err)
	}
	return dropped, nil
}

// soundPrefix is the longest part of an open segment that can be believed. With
// whole set it is all of it or nothing (a nil tally).
func (b *binder) soundPrefix(plain []byte, whole *tally) ([]byte, *tally) {
	if whole != nil {
		t := newTally()
		t.hash.Write(plain)
		if int64(len(plain)) != whole.offset || t.sum() != whole.sum() {
			return nil, nil
		}
		return plain, whole
	}
	s := scanner{tally: newTally(), id: b.id, pub: b.pub, index: b.totals.segments, prev: b.totals.chain, floor: b.totals.at}
	for {
		if _, _, err := s.next(plain[s.offset:]); err != nil {
			return plain[:s.offset], &s.tally
		}
	}
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

// tear closes what is sound of the open segment, if there is one, and seals as torn.
func (b *binder) tear(info SealInfo) (SealInfo, error) {
	dropped, err := b.closeSegment(nil)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return SealInfo{}, err
	}
	if info.Ended.IsZero() { // it ended with its last frame, as far as anyone knows
		info.Ended = b.header.Started.Add(time.Duration(b.totals.at) * time.Microsecond)
	}
	info.State, info.Dropped = Torn, dropped
	return b.seal(info)
}

// Recover seals the recording in dir that a crash left open, marked torn: the
// longest sound beginning of its open segment is kept, the rest counted. signer must
// be the key that began it. A recording that has its seal is left alone, so calling
// it again does nothing. A directory without a header (fs.ErrNotExist) holds no
// recording; the crash came before the first byte. No Writer may be at work in dir.
func Recover(dir string, signer crypto.Signer) (SealInfo, error) {
	d, err := openDirectory(dir)
	if err != nil {
		return SealInfo{}, fmt.Errorf("recover a recording: %w", err)
	}
	defer d.close()
	info, err := recoverOn(d, signer)
	if err != nil {
		return SealInfo{}, fmt.Errorf("recover a recording: %w", err)
	}
	return info, nil
}

func recoverOn(d *directory, signer crypto.Signer) (SealInfo, error) {
	if err := d.sweep(); err != nil {
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
	if err := b.recount(); err != nil {
		return SealInfo{}, err
	}
	return b.tear(SealInfo{Reason: session.AgentLost})
}

// recount reads the closed segments again. One that is bad cannot be sealed over.
func (b *binder) recount() error {
	for {
		n := b.totals.segments
		part, err := b.disk.read(SegmentPart(n))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		d, err := checkSegment(part, b.pub)
		if err == nil && (d.index != n || d.prev != b.totals.chain) {
			err = errors.New("it belongs elsewhere")
		}
		if err != nil {
			return fmt.Errorf("segment %d: %w", n, err)
		}
		b.totals.add(d)
		if err := ignoreMissing(b.disk.remove(openName(n))); err != nil {
			return err
		}
	}
}
