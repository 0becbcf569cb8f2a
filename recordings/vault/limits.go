package vault

import "time"

// How large a part may be is the format's: recordings.Largest. How many countersignatures
// a recording can have is the witness's: witness.MaxReceipts.
const (
	copyBytes  = 256 << 10      // of a part that are received at a time
	abandoned  = 24 * time.Hour // what still arrives is written to more often
	maxLogFile = 8 << 20        // bytes of one file of a log; 256 of the largest entries, in base64, fit
)
