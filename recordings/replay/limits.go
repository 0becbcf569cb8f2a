package replay

import "time"

// Bounds of what is made of one recording. A part is bounded by its segment.
const (
	maxMarkers  = 2000
	maxChannels = 500
	maxStates   = 1000 // of the scanner
	maxWords    = 300  // characters of a text
	Buckets     = 600  // of the activity histogram

	atOnceBytes = 4 << 20 // of events of several segments that are one part: as many as one can have
)

// What a stretch of a transcript reads at once; more only as long as it cannot end.
const (
	stretchSegments = 64
	stretchBytes    = 1 << 20
	stretchTime     = 2 * time.Second
)

// What is assumed where nothing is said.
const (
	sameMoment   = 2_000_000 // microseconds within which a remark is the same one
	microsSecond = 1_000_000
)
