package recordings

import (
	"errors"
	"io"

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

// Find returns the last closed segment that begins at or before a moment. It reads heads
// alone, as many as the number of segments has digits, or in the single-file form those
// on the way.
func (r *Reader) Find(at int64) (uint32, error) {
	later := func(n uint32) (bool, error) {
		d, err := r.head(n)
		if errors.Is(err, io.EOF) && n > 0 {
			return true, nil
		}
		return d.first > at && n > 0, err
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
		low, high = high, min(2*high, MaxSegments)
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
	d, err := r.head(n)
	if errors.Is(err, io.EOF) {
		return Standing{}, io.EOF
	}
	if err != nil {
		return Standing{}, unreadable(err)
	}
	r.seg, r.err, r.sealed, r.sought = nil, nil, nil, true
	r.totals = totals{segments: n, chain: d.prev}
	if err := r.closedSegment(n); err != nil {
		return Standing{}, unreadable(err)
	}
	ahead := segmentInHand{scanner: r.scanner(n), plain: r.seg.plain}
	ahead.heads = nil
	for ahead.offset < int64(len(ahead.plain)) {
		if _, _, err := ahead.next(ahead.plain[ahead.offset:]); err != nil {
			return Standing{}, unreadable(damaged(n, r.seg.at+segmentHead, "its content is not sound: %v", err))
		}
	}
	return ahead.standing(), nil
}
