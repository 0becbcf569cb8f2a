package access

import (
	"slices"

	"github.com/sallyport/sallyport/recordings"
)

// stored is what is known of a recording's parts in the vault. Its size does not depend
// on how long the recording is: segments come in their order, so those that are there are
// one span, and one more for each that is late.
type stored struct {
	Others   map[string]int64 `json:"parts,omitempty"`    // bytes by name, of what is no segment
	Segments []span           `json:"segments,omitempty"` // in order, apart from each other
	Bytes    int64            `json:"bytes,omitempty"`    // of the segments
}

// span is the segments from From up to, but not, To.
type span struct {
	From uint32 `json:"from"`
	To   uint32 `json:"to"`
}

// add notes a part; noting it twice counts it once.
func (s *stored) add(part string, size int64) {
	if n, segment := recordings.Segment(part); segment {
		if s.insert(n) {
			s.Bytes += size
		}
		return
	}
	if _, known := s.Others[part]; !known && len(s.Others) >= maxOthers {
		return
	}
	if s.Others == nil {
		s.Others = map[string]int64{}
	}
	s.Others[part] = size
}

// insert adds a segment and reports whether it is new.
func (s *stored) insert(n uint32) bool {
	i, found := slices.BinarySearchFunc(s.Segments, n, func(x span, n uint32) int {
		switch {
		case n < x.From:
			return 1
		case n < x.To:
			return 0
		}
		return -1
	})
	after := i > 0 && s.Segments[i-1].To == n
	before := i < len(s.Segments) && s.Segments[i].From == n+1
	switch {
	case found:
		return false
	case after && before:
		s.Segments[i-1].To = s.Segments[i].To
		s.Segments = slices.Delete(s.Segments, i, i+1)
	case after:
		s.Segments[i-1].To = n + 1
	case before:
		s.Segments[i].From = n
	case len(s.Segments) >= maxSpans:
		return false
	default:
		s.Segments = slices.Insert(s.Segments, i, span{n, n + 1})
	}
	return true
}

// has reports whether a part that is no segment is there.
func (s *stored) has(part string) bool {
	_, known := s.Others[part]
	return known
}

// bytes is how much all of them are.
func (s *stored) bytes() int64 {
	sum := s.Bytes
	for _, n := range s.Others {
		sum += n
	}
	return sum
}
