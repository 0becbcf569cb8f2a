// Package terminal says what a terminal shows of a recording: event by event for a player,
// with the sizes of all terminals at any moment, and line by line as a transcript. It
// emulates none: what a device wrote goes to a player as it is.
package terminal

// Bounds of what is made of one recording.
const (
	plainBytes = 1 << 20 // shown of what a command without a terminal wrote: bulk is no terminal's
	maxStreams = 256     // open at once
	maxLines   = 400_000
	maxLine    = 4 << 10  // bytes of a transcript's line
	maxText    = 24 << 20 // bytes of a transcript
)

// The size of a terminal of which nothing is said.
const (
	Cols = 80
	Rows = 24
)
