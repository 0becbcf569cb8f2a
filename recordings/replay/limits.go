package replay

// Bounds of what is made of one recording. A part is bounded by its segment.
const (
	maxMarkers  = 2000
	maxChannels = 500
	maxWords    = 300 // characters of a text
	Buckets     = 600 // of the activity histogram
)

// What is assumed where nothing is said.
const (
	sameMoment   = 2_000_000 // microseconds within which a remark is the same one
	microsSecond = 1_000_000
)
