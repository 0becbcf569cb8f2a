package recordings

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// Damage says where a recording stops being what was signed.
type Damage struct {
	Segment *int   // the first bad segment; nil for the header, the seal or what follows it
	Offset  int64  // where the smallest signed thing that is bad begins: in the file, or in the part's own file
	Reason  string // in plain words
}

func (d *Damage) Error() string {
	if d.Segment == nil {
		return d.Reason
	}
	return fmt.Sprintf("segment %d: %s", *d.Segment, d.Reason)
}

func damaged(segment uint32, offset int64, format string, args ...any) *Damage {
	n := int(segment)
	return &Damage{Segment: &n, Offset: offset, Reason: fmt.Sprintf(format, args...)}
}

// source is where a Reader gets its parts from, in order. io.EOF: there is none (yet).
type source interface {
	inOrder
	// locate makes a segment the next one and returns its head.
	locate(n uint32) (head []byte, err error)
	// again is the same parts for somebody else, from the beginning.
	again() source
}

type inOrder interface {
	header() (part []byte, err error)
	seal() (part []byte, offset int64, err error)
	segment(n uint32) (part []byte, offset int64, err error)
	open(n uint32) (plain []byte, err error)
}

// stream is the single-file form.
type stream struct {
	r    io.ReaderAt
	size int64
	at   int64   // where the next part begins
	seen []int64 // where segments begin, as far as somebody looked
}

func (s *stream) rest() *io.SectionReader { return io.NewSectionReader(s.r, s.at, s.size-s.at) }

func (s *stream) header() ([]byte, error) {
	part, err := readDocument(s.rest())
	if ended(err) {
		return nil, &Damage{Reason: "the file ends before its header does"}
	}
	if err != nil {
		return nil, &Damage{Reason: "the header cannot be read: " + err.Error()}
	}
	s.at += int64(len(part))
	s.seen = []int64{s.at} // so that one can jump back who has read on
	return part, nil
}

// magic peeks at what begins here; io.EOF at the end of the file.
func (s *stream) magic(n uint32) (string, error) {
	b := make([]byte, magicSize)
	_, err := io.ReadFull(s.rest(), b)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return "", damaged(n, s.at, "the file ends before segment %d or the seal does", n)
	}
	return string(b), err
}

func (s *stream) seal() ([]byte, int64, error) {
	b := make([]byte, magicSize)
	if _, err := io.ReadFull(s.rest(), b); err != nil || string(b) != sealMagic {
		return nil, 0, io.EOF
	}
	part, err := readDocument(s.rest())
	switch {
	case ended(err):
		return nil, 0, &Damage{Offset: s.at, Reason: "the file ends before the seal does"}
	case err != nil:
		return nil, 0, &Damage{Offset: s.at, Reason: "the seal cannot be read: " + err.Error()}
	}
	return part, s.at, nil
}

func (s *stream) segment(n uint32) ([]byte, int64, error) {
	magic, err := s.magic(n)
	if err != nil {
		return nil, 0, err
	}
	if magic == sealMagic {
		return nil, 0, io.EOF
	}
	if magic != segmentMagic {
		return nil, 0, damaged(n, s.at, "what stands here is neither segment %d nor the seal", n)
	}
	part, err := readSegment(s.rest())
	switch {
	case ended(err):
		return nil, 0, damaged(n, s.at, "the file ends before segment %d does", n)
	case err != nil:
		return nil, 0, damaged(n, s.at, "it cannot be read: %v", err)
	}
	at := s.at
	s.at += int64(len(part))
	return part, at, nil
}

func (s *stream) open(uint32) ([]byte, error) { return nil, io.EOF }

// locate reads heads, of 208 bytes, up to the one that is looked for.
func (s *stream) locate(n uint32) ([]byte, error) {
	for at := min(n, uint32(len(s.seen)-1)); ; at++ {
		s.at = s.seen[at]
		if magic, err := s.magic(at); err != nil || magic != segmentMagic {
			return nil, cmp.Or(err, io.EOF)
		}
		head := make([]byte, segmentHead)
		if _, err := io.ReadFull(s.rest(), head); err != nil {
			return nil, damaged(at, s.at, "the file ends before segment %d does", at)
		}
		d, err := parseDescriptor(head)
		if err != nil {
			return nil, damaged(at, s.at, "%v", err)
		}
		if at == n {
			return head, nil
		}
		if int(at) == len(s.seen)-1 {
			s.seen = append(s.seen, s.at+segmentHead+int64(d.stored))
		}
	}
}

func (s *stream) again() source { return &stream{r: s.r, size: s.size} }

func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// folder is a recording in the directory in which it is, or was, written.
type folder struct {
	dir  *directory
	lent bool // another one closes it
}

func (f folder) again() source { return folder{dir: f.dir, lent: true} }

func (f folder) header() ([]byte, error) { return f.dir.read(HeaderPart) }

func (f folder) seal() ([]byte, int64, error) {
	part, err := f.part(SealPart)
	return part, 0, err
}

func (f folder) segment(n uint32) ([]byte, int64, error) {
	part, err := f.part(SegmentPart(n))
	return part, 0, err
}

func (f folder) open(n uint32) ([]byte, error) {
	b, err := f.part(openName(n))
	return framesOf(b), err
}

func (f folder) locate(n uint32) ([]byte, error) {
	head, _, err := f.dir.head(SegmentPart(n))
	if errors.Is(err, fs.ErrNotExist) {
		err = io.EOF
	}
	return head, err
}

// headFrom reads the head of a segment's part and no more.
func headFrom(n uint32, r io.Reader) ([]byte, error) {
	head := make([]byte, segmentHead)
	_, err := io.ReadFull(r, head)
	if ended(err) {
		return nil, damaged(n, 0, "the file ends before segment %d does", n)
	}
	return head, err
}

func (f folder) part(name string) ([]byte, error) {
	b, err := f.dir.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, io.EOF
	}
	return b, err
}
