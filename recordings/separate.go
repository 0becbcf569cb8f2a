package recordings

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// OpenParts reads a recording whose parts stand one by one, as a vault keeps them; to
// open one that is not there is fs.ErrNotExist. It reads no further than the first missing
// segment while there is no seal; with one, a missing segment is damage. It lists nothing,
// and one segment is in memory at a time.
func OpenParts(open func(part string) (io.ReadCloser, error)) (*Reader, error) {
	return newReader(&separate{from: open})
}

// separate is a recording in parts.
type separate struct {
	from func(part string) (io.ReadCloser, error)
	last []byte // the seal, once it was read
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

func (s *separate) locate(n uint32) ([]byte, error) {
	part, err := s.from(SegmentPart(n))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, io.EOF
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", SegmentPart(n), err)
	}
	defer part.Close()
	return headFrom(n, part)
}

func (s *separate) again() source { return &separate{from: s.from} }

func (s *separate) open(uint32) ([]byte, error) { return nil, io.EOF }

func (s *separate) part(name string) ([]byte, error) {
	part, err := readPart(s.from, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, io.EOF
	}
	return part, err
}
