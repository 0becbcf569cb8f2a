package terminal

import (
	"testing"

	"github.com/sallyport/sallyport/session"
)

// A chunk is an event, and what carries it through TLS is two records: 9 bytes say that
// it is channel data, and length, padding and tag of the packet take up to 4+1+19+16.
func TestAChunkFitsTwoRecords(t *testing.T) {
	const record = 16 << 10
	if chunkSize > session.MaxEventData || chunkSize+9+40 > 2*record {
		t.Errorf("a chunk has %d bytes", chunkSize)
	}
}
