package recordings

import (
	"errors"
	"io"
	"math"

	"github.com/sallyport/sallyport/session"
)

// Standing is what stood when a segment began.
type Standing struct {
	Segment   uint32
	Snapshots []session.Snapshot
	Complete  bool // nothing else has to be known to begin there
}

func (s *segmentInHand) standing() Standing {
	return Standing{Segment: s.index, Snapshots: s.snaps.whole(), Complete: s.snaps.complete || s.index == 0}
}

// Watch has each called when a segment was read to its end, before its successor begins.
func (r *Reader) Watch(each func(Standing)) { r.stood = each }

// Find returns the last closed segment that begins at or before a moment, and that can be
// come to: one that is missing or spoilt is looked for no further. It reads heads alone, as
// many as the number of segments has digits, or in the single-file form those on the way.
func (r *Reader) Find(at int64) (uint32, error) {
	later := func(n uint32) (bool, error) {
		if n >= MaxSegments {
			return true, nil
		}
		d, err := r.head(n)
		var bad *Damage
		if errors.Is(err, io.EOF) || errors.As(err, &bad) {
			return true, nil
		}
		return d.first > at, err
	}
	low, high := uint32(0), uint32(1) // low is not later; high is, once the first loop is over
	for {
		after, err := later(high)
		if err != nil {
			return 0, err
		}
		if after {
			break
		}
		low, high = high, 2*high
	}
	for high-low > 1 {
		middle := low + (high-low)/2
		after, err := later(middle)
		if err != nil {
			return 0, err
		}
		if after {
			high = middle
		} else {
			low = middle
		}
	}
	return low, nil
}

// Length is how much there is of a recording, as far as heads and seal tell.
type Length struct {
	Segments uint32
	At       int64 // of the last frame
	Sealed   bool
}

// Length looks at the seal, and where there is none, for the last segment.
func (r *Reader) Length() (Length, error) {
	part, _, err := r.source.seal()
	if err == nil {
		if info, err := parseSeal(part, r.pub); err == nil {
			return Length{Segments: info.Segments, At: info.At, Sealed: true}, nil
		}
	} else if !errors.Is(err, io.EOF) {
		return Length{}, err
	}
	n, err := r.Find(math.MaxInt64)
	if err != nil {
		return Length{}, err
	}
	d, err := r.head(n)
	if errors.Is(err, io.EOF) {
		return Length{}, nil
	}
	if err != nil {
		return Length{}, unreadable(err)
	}
	return Length{Segments: n + 1, At: d.last}, nil
}

// head is a segment's signed description.
func (r *Reader) head(n uint32) (descriptor, error) {
	b, err := r.source.locate(n)
	if err != nil {
		return descriptor{}, err
	}
	d, err := checkSegmentHead(b, r.pub)
	if err == nil && d.index != n {
		err = errors.New("another segment stands there")
	}
	if err != nil {
		return descriptor{}, damaged(n, 0, "%v", err)
	}
	return d, nil
}

// Begin makes a closed segment the next one that is read, and returns what stood when it
// began; io.EOF: there is none of this number. What was before is not read and not
// checked: Verify does that.
func (r *Reader) Begin(n uint32) (Standing, error) {
	s, err := r.ahead(n, func(*segmentInHand, frame) error { return nil })
	if err != nil {
		return Standing{}, err
	}
	return s.standing(), nil
}

// Scene is a closed segment by itself.
type Scene struct {
	Standing
	From   int64
	To     int64 // when the next one begins, or of its last frame where there is none
	Events []session.Event
}

// Scene reads a closed segment and the head of the one that follows; io.EOF: there is none
// of this number. The segment is the next one that is read.
func (r *Reader) Scene(n uint32) (Scene, error) {
	var all []session.Event
	s, err := r.ahead(n, func(s *segmentInHand, f frame) error {
		if !isEvent(f.kind) {
			return nil
		}
		e, err := r.event(s, f)
		all = append(all, e)
		return err
	})
	if err != nil {
		return Scene{}, err
	}
	to := s.last
	if next, err := r.head(n + 1); err == nil {
		to = next.first
	}
	return Scene{Standing: s.standing(), From: s.first, To: to, Events: all}, nil
}

// ahead makes a closed segment the next one that is read, and looks at all of it.
func (r *Reader) ahead(n uint32, each func(*segmentInHand, frame) error) (*segmentInHand, error) {
	d, err := r.head(n)
	if errors.Is(err, io.EOF) {
		return nil, io.EOF
	}
	if err != nil {
		return nil, unreadable(err)
	}
	r.seg, r.err, r.sealed, r.sought = nil, nil, nil, true
	r.totals = totals{segments: n, chain: d.prev}
	if err := r.closedSegment(n); err != nil {
		return nil, unreadable(err)
	}
	s := &segmentInHand{scanner: r.scanner(n), plain: r.seg.plain}
	s.heads = nil
	for s.offset < int64(len(s.plain)) {
		f, _, err := s.next(s.plain[s.offset:])
		if err == nil {
			err = each(s, f)
		}
		if err != nil {
			return nil, unreadable(damaged(n, r.seg.at+segmentHead, "its content is not sound: %v", err))
		}
	}
	if s.extent(n, d.prev) != d.extent {
		return nil, unreadable(damaged(n, r.seg.at+segmentHead, "its content is not what was signed"))
	}
	return s, nil
}
