package socket

import "time"

// Bounds of one browser, in bytes.
const (
	roomy     = 256 << 10 // that may wait for a browser before its device waits
	most      = 8 << 20   // and before the browser is given up, whatever they are
	inOrder   = 32 << 10  // of output behind which a notice still waits its turn
	putMost   = 32 << 10  // that are written at once, within a stall's time
	chunkCost = 64        // that a chunk takes beside its own: many small ones are much, too

	partingTime = 300 * time.Millisecond // what a browser still says is read, once it is cut
)
