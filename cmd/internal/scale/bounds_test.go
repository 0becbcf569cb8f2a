package scale

import (
	"testing"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session/link"
)

// Where rooms meet their bounds do, too: whatever the format lets a writer make, the link
// carries; what the witness lets a list hold, a companion holds.
func TestBoundsAgree(t *testing.T) {
	const last = recordings.MaxSegments - 1
	if n, ok := recordings.Segment(recordings.SegmentPart(last)); !ok || n != last {
		t.Error("the last segment has no name")
	}
	if recordings.ValidPart(recordings.SegmentPart(last + 1)) {
		t.Error("a segment after the last has a name")
	}
	for what, bound := range map[string][2]int64{
		"a segment, in a part":         {recordings.MaxSegmentBytes + recordings.SegmentHead, recordings.MaxPart},
		"a part, on the link":          {recordings.MaxPart, link.MaxPart},
		"a companion, on the link":     {recordings.MaxCompanion, link.MaxPart},
		"countersignatures, as a list": {witness.MaxListBytes, recordings.MaxCompanion},
	} {
		if bound[0] > bound[1] {
			t.Errorf("%s: %d bytes do not fit into %d", what, bound[0], bound[1])
		}
	}
}
