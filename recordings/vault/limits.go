package vault

// How large a part may be is the format's: recordings.Largest. How many countersignatures
// a recording can have is the witness's: witness.MaxReceipts.
const copyBytes = 256 << 10 // of a part that are received at a time
