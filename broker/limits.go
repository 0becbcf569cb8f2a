package broker

// Bounds of what is read and shown of recordings. How large they can be is the format's
// own matter: recordings.MaxSegments, recordings.Largest.
const (
	maxSmallPart = 1 << 20 // bytes of a header or a seal, which are read here; segments pass unread
	keptIndexes  = 8       // of the recordings that were shown last; an index has up to 4,096 parts
	heavyReads   = 2       // whole recordings that are read at once for people
	maxDigests   = 4096    // recordings that wait to be summed up; one that finds no place is asked for again
)
