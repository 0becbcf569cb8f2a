package exchange

import "github.com/sallyport/sallyport/recordings"

// Bounds of what stands in a pack, in bytes; of the countersignatures it is the witness's:
// witness.MaxListBytes.
const (
	maxRecording int64 = (recordings.MaxSegments + 2) * recordings.MaxPart // as long as the format lets one be
	maxPapers          = 1 << 20                                           // two documents and 17 tokens with their keys
	maxAudit           = 16 << 20                                          // a proof in the audit log, with its checkpoint
)
