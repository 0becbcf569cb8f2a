package spool

import "time"

// Times of uploads. How many segments a recording has, and how large its parts are, is
// the format's: recordings.MaxSegments, recordings.Largest; how many countersignatures,
// the witness's: witness.MaxReceipts.
const (
	rescan     = 30 * time.Second // without a Kick, the directory is looked at this often
	pauseFirst = time.Second      // between attempts, doubled up to pauseMost, with full jitter
	pauseMost  = 30 * time.Second // the broker is away: it is looked for this often
	deferMost  = 5 * time.Minute  // a part that is refused is tried again at least this often
	attempt    = 2 * time.Minute  // one part may take this long
	badAfter   = 3                // refusals after which others no longer wait for a part, and it is shown

	maxAckBytes = 256 << 20 // of the note of what was acknowledged: ten times what 1,000,000 segments need
	maxWords    = 300       // characters of why a part is not stored
)

// Uploads yield to the transfer that fills them: while parts close quickly, new segments
// stay on the disk. That ends with the transfer, after yieldTime, or when a recording has
// yieldSegments waiting; heads have a way of their own and never wait.
const (
	bulkParts     = 8 // closed within bulkTime: something bulky moves
	bulkTime      = time.Second
	yieldTime     = 10 * time.Second
	yieldSegments = 64 // of 4 MiB in bulk
)

// Times of countersignatures.
const (
	headAttempt = 10 * time.Second
	headPause   = time.Second // after a failure
)

// Room on the disk that no recording takes, so that all can be sealed; to begin one, there
// has to be twice as much. The ledger has a reserve of its own.
const (
	mostReserve  = 256 << 20 // bytes
	leastReserve = 32        // of the disk, of which a small one keeps one such part
)
