package recordings

import (
	"errors"
	"io"
)

// OpenParts reads a recording whose parts stand one by one, as a vault keeps them. It
// reads no further than the first missing segment while there is no seal; with one, a
// missing segment is damage. One segment is in memory at a time.
func OpenParts(open func(part string) (io.ReadCloser, error), parts []string) (*Reader, error) {
	return newReader(newSeparate(open, parts))
}

// OpenPartsAt is OpenParts that begins at a mark of an earlier reading. Chain and
// signatures are checked from there on.
func OpenPartsAt(open func(part string) (io.ReadCloser, error), parts []string, at Mark) (*Reader, error) {
	r, err := newReader(newSeparate(open, parts))
	if err != nil {
		return nil, err
	}
	r.totals = at.totals
	for range at.events {
		if _, err := r.Next(); err != nil {
			return nil, errors.Join(err, r.Close())
		}
	}
	return r, nil
}

// Mark is a place between two events of a recording. It is of use in this recording
// only, and as long as what stands before it does not change: it never does.
type Mark struct {
	totals totals // before the segment
	events uint32 // of the segment, before the place
}

// Mark is the place before the event that Next returns next.
func (r *Reader) Mark() Mark {
	m := Mark{totals: r.totals}
	if r.seg != nil {
		m.events = r.seg.events
	}
	return m
}

// separate is a recording in parts.
type separate struct {
	from  func(part string) (io.ReadCloser, error)
	names map[string]bool
	last  []byte // the seal, once it was read
}

func newSeparate(open func(part string) (io.ReadCloser, error), parts []string) *separate {
	s := &separate{from: open, names: make(map[string]bool, len(parts))}
	for _, p := range parts {
		s.names[p] = true
	}
	return s
}

func (s *separate) header() ([]byte, error) {
	part, err := s.part(HeaderPart)
	if errors.Is(err, io.EOF) {
		return nil, &Damage{Reason: "the header has not arrived"}
	}
	return part, err
}

func (s *separate) seal() ([]byte, int64, error) {
	if s.last != nil {
		return s.last, 0, nil
	}
	part, err := s.part(SealPart)
	if err == nil {
		s.last = part
	}
	return part, 0, err
}

func (s *separate) segment(n uint32) ([]byte, int64, error) {
	part, err := s.part(SegmentPart(n))
	return part, 0, err
}

func (s *separate) open(uint32) ([]byte, error) { return nil, io.EOF }

func (s *separate) part(name string) ([]byte, error) {
	if !s.names[name] {
		return nil, io.EOF
	}
	return readPart(s.from, name)
}
