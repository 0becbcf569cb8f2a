package replay

// Bounds of what is made of one recording.
const (
	PartBytes    = 256 << 10 // output shown in one part; twice that each time parts are joined
	skippedBytes = 8 << 20   // of what is not shown, after which another part begins; the same
	partEvents   = 10_000    // events shown in one part; the same
	maxParts     = 4096      // beyond it every two are joined
	maxCoarser   = 4         // times: 16 GB of output, in parts of 4 MiB
	maxMarkers   = 2000
	maxChannels  = 500
	maxWords     = 300 // characters of a text
	Buckets      = 600 // of the activity histogram
)

// What is assumed where nothing is said.
const (
	sameMoment   = 2_000_000 // microseconds within which a remark is the same one
	microsSecond = 1_000_000
)
