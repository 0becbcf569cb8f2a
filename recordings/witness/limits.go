package witness

// Of the audit log.
const (
	MaxCheckpoint = 4 << 10   // bytes of a signed checkpoint with all its cosignatures
	MaxInclusion  = 128 << 10 // bytes of a proof's file
	maxHashes     = 63        // of a proof: a log of 2^62 entries has 62
	MaxEvent      = 16 << 10  // bytes of an entry
	maxDetails    = 16        // of an event
	maxDetail     = 400       // bytes of one
)

// Of one recording's countersignatures.
const (
	MaxReceipts        = 90_000                                                    // one a second for a day
	MaxListBytes int64 = int64(listHead + MaxReceipts*ReceiptSize + SignatureSize) // bytes of a list, in either form
)
