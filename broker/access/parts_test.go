package access

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
)

// However long a recording is, what is kept of its parts is short, and every part counts
// once, whatever their order.
func TestPartsAreCountedOnceInShort(t *testing.T) {
	var s stored
	const many = 50_000
	s.add("header", 100)
	for n := range many {
		for range 1 + n%2 { // some are sent again
			s.add(fmt.Sprintf("seg-%06d", n), 10)
		}
	}
	s.add("seal", 50)
	b, err := json.Marshal(s)
	if err != nil || len(b) > 200 || s.bytes() != 150+10*many || !s.has("seal") || s.has("papers") {
		t.Fatalf("%s, %d bytes, %v", b, s.bytes(), err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var s stored
		order := r.Perm(60)
		for i, n := range order {
			s.add(fmt.Sprintf("seg-%06d", n), 1)
			s.add(fmt.Sprintf("seg-%06d", order[r.IntN(i+1)]), 1)
			if s.bytes() != int64(i+1) {
				t.Fatalf("%d of %v: %+v", i, order, s)
			}
		}
		if len(s.Segments) != 1 || s.Segments[0] != (span{0, 60}) {
			t.Fatalf("%v: %+v", order, s)
		}
	}
	var late stored // every other one missing: bounded, and said to be fewer
	for n := range 3 * maxSpans {
		late.add(fmt.Sprintf("seg-%06d", 2*n), 1)
	}
	if len(late.Segments) != maxSpans || late.bytes() != maxSpans {
		t.Errorf("%d spans, %d bytes", len(late.Segments), late.bytes())
	}
}
