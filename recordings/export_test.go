package recordings

import (
	"bytes"
	"crypto"
	"encoding/binary"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// The file layer, for tests that make it misbehave.
type (
	Disk = disk
	File = file
)

func CreateOn(d Disk, h Header, o Options) (*Writer, error) { return create(d, h, o) }

// NewDisk makes dir and opens it for writing.
func NewDisk(dir string) (Disk, error) { return newDirectory(dir) }

// DiskMethods lets a test wrap a Disk.
type DiskMethods struct {
	CreateFunc func(name string) (File, error)
	CommitFunc func(name string, part []byte) error
	RenameFunc func(from, to string) error
	RemoveFunc func(name string) error
	Disk       Disk
}

func (m DiskMethods) create(name string) (file, error) {
	if m.CreateFunc != nil {
		return m.CreateFunc(name)
	}
	return m.Disk.create(name)
}
func (m DiskMethods) read(name string) ([]byte, error) { return m.Disk.read(name) }
func (m DiskMethods) commit(name string, part []byte) error {
	if m.CommitFunc != nil {
		return m.CommitFunc(name, part)
	}
	return m.Disk.commit(name, part)
}
func (m DiskMethods) rename(from, to string) error {
	if m.RenameFunc != nil {
		return m.RenameFunc(from, to)
	}
	return m.Disk.rename(from, to)
}
func (m DiskMethods) remove(name string) error {
	if m.RemoveFunc != nil {
		return m.RemoveFunc(name)
	}
	return m.Disk.remove(name)
}

// CreateFile is the wrapped disk's own create.
func CreateFile(d Disk, name string) (File, error) { return d.create(name) }

// RenamePart is the wrapped disk's own rename.
func RenamePart(d Disk, from, to string) error { return d.rename(from, to) }

// RemovePart is the wrapped disk's own remove.
func RemovePart(d Disk, name string) error { return d.remove(name) }

// Room is what stands in an open segment's file before its frames.
const Room = segmentHead

// MaxUnclosedBytes bounds what Record leaves to the closer.
const MaxUnclosedBytes = maxUnclosedBytes

// CommitPart is the wrapped disk's own commit.
func CommitPart(d Disk, name string, part []byte) error { return d.commit(name, part) }

// SignSeal signs a seal document as the agent would, for forgeries by a thief of the key.
func SignSeal(s crypto.Signer, info SealInfo) ([]byte, error) {
	return signDocument(s, witness.Seal, sealMagic, info)
}

// ScanSegment reads plain segment bytes as repair does and returns how much is sound
// and how many events that is.
func ScanSegment(header, plain []byte, index uint32, prev [32]byte) (sound int64, events uint32) {
	o, pub, err := parseHeader(header)
	if err != nil {
		return 0, 0
	}
	id, _ := session.ParseRecordingID(o.Session.Recording)
	s := scanner{tally: newTally(), id: id, pub: pub, index: index, prev: prev}
	for {
		if _, _, err := s.next(plain[s.offset:]); err != nil {
			return s.offset, s.events
		}
	}
}

// FrameEnds lists the offsets after each sound frame of plain.
func FrameEnds(header, plain []byte, index uint32, prev [32]byte) (ends []int64, events []uint32) {
	o, pub, err := parseHeader(header)
	if err != nil {
		return nil, nil
	}
	id, _ := session.ParseRecordingID(o.Session.Recording)
	s := scanner{tally: newTally(), id: id, pub: pub, index: index, prev: prev}
	for {
		if _, _, err := s.next(plain[s.offset:]); err != nil {
			return ends, events
		}
		ends, events = append(ends, s.offset), append(events, s.events)
	}
}

// ChainStart is the chain of a recording before its first segment.
func ChainStart(header []byte) [32]byte { return chainStart(header) }

// PackSegment makes a segment part that signs whatever it is told to.
func PackSegment(s crypto.Signer, index uint32, prev [32]byte, plain []byte, declared uint32) ([]byte, error) {
	p, err := newPacker()
	if err != nil {
		return nil, err
	}
	t := newTally()
	t.hash.Write(plain)
	part, d, err := p.pack(s, t.extent(index, prev), plain)
	if err != nil {
		return nil, err
	}
	d.plain = declared
	head, err := d.signed(s)
	copy(part, head)
	return part, err
}

// PlainSegment unpacks a segment part.
func PlainSegment(part []byte) ([]byte, error) {
	d, err := checkSegment(part, nil)
	if err != nil {
		return nil, err
	}
	u, err := newUnpacker()
	if err != nil {
		return nil, err
	}
	defer u.zstd.Close()
	return u.unpack(d, part[segmentHead:])
}

// SplitFile takes the single-file form apart at its magics.
func SplitFile(file []byte) (parts [][]byte) {
	s := &stream{r: bytes.NewReader(file), size: int64(len(file))}
	header, err := s.header()
	if err != nil {
		return nil
	}
	parts = append(parts, header)
	for n := uint32(0); ; n++ {
		part, _, err := s.segment(n)
		if err != nil {
			break
		}
		parts = append(parts, part)
	}
	if seal, _, err := s.seal(); err == nil {
		parts = append(parts, seal)
	}
	return parts
}

// SnapshotFrame is a frame of a snapshot.
type SnapshotFrame struct {
	Stream uint32
	Data   []byte
}

// ReadSnapshots reads frames as a reader does, and writes what it understood again.
func ReadSnapshots(frames []SnapshotFrame) (again []SnapshotFrame, err error) {
	var s snapshots
	for _, f := range frames {
		if err := s.take(frame{kind: kindSnapshot, stream: f.Stream, data: f.Data}); err != nil {
			return nil, err
		}
	}
	if s.more {
		return nil, errShort
	}
	for _, one := range s.whole() {
		for _, f := range pieces(one) {
			again = append(again, SnapshotFrame{f.stream, f.data})
		}
	}
	if s.complete {
		again = append(again, SnapshotFrame{Data: binary.BigEndian.AppendUint32([]byte{allThere, 0}, uint32(len(s.all)))})
	}
	return again, nil
}
