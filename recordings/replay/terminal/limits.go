// Package terminal says what a terminal shows of a recording: event by event for a player,
// with the sizes of all terminals at any moment, and as a transcript to be read. What a
// device wrote goes to a player as it is; for a transcript a terminal's text is kept, in
// rows of characters and nothing else, so that screens can be read.
package terminal

// Bounds of what is made of one recording.
const (
	plainBytes = 1 << 20   // shown of what a command without a terminal wrote: bulk is no terminal's
	maxStreams = 256       // open at once
	maxLine    = 4 << 10   // bytes of a transcript's line
	mostCells  = 1 << 17   // of all terminals of which a transcript has screens: 64 of the usual size
	restsAfter = 700_000   // microseconds in which nothing comes: a screen rests
	maxParams  = 16        // numbers of a control sequence
	maxParam   = 1 << 14   // each of them
	drawnBytes = 256 << 10 // of screens in a transcript, whatever came
	drawnFor   = 16        // bytes of screens that a transcript has for each that came, besides drawnBytes

	// What a byte earns, in characters and rows that may be touched for it, and how much of
	// it is kept: 64 KiB of the worst are read within 50 ms of a processor.
	workFor   = 32
	mostSaved = 1 << 20
)

// The size of a terminal of which nothing is said.
const (
	Cols = 80
	Rows = 24
)
