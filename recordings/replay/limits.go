package replay

// Bounds of what is made of one recording.
const (
	PartBytes    = 256 << 10 // output shown in one part; twice that each time parts are joined
	skippedBytes = 8 << 20   // of what is not shown, after which another part begins; the same
	plainBytes   = 1 << 20   // shown of what a command without a terminal wrote: bulk is no terminal's
	partEvents   = 10_000    // events shown in one part; the same
	maxParts     = 4096      // beyond it every two are joined
	maxCoarser   = 4         // times: 16 GB of output, in parts of 4 MiB
	maxMarkers   = 2000
	maxChannels  = 500
	maxStreams   = 256 // open at once
	maxWords     = 300 // characters of a text
	maxLines     = 400_000
	maxLine      = 4 << 10  // bytes of a transcript's line
	maxText      = 24 << 20 // bytes of a transcript
	Buckets      = 600      // of the activity histogram
)

// What is assumed where nothing is said.
const (
	defaultCols  = 80
	defaultRows  = 24
	sameMoment   = 2_000_000 // microseconds within which a remark is the same one
	microsSecond = 1_000_000
)
