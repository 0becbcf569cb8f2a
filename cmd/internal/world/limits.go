package world

import "time"

const (
	shortestPause = 200 * time.Millisecond // before a child is started again
	longestPause  = 5 * time.Second
	stableAfter   = 3 * time.Second  // a child that ran this long died of something new
	stopPatience  = 8 * time.Second  // for a child to stop by itself
	patience      = 90 * time.Second // for a part to come up on a slow machine
)

// Ports of a demonstration that may choose: below those which Linux (32768) and others
// (49152) give to outgoing connections.
const (
	firstPort = 15_000
	lastPort  = 32_000
)
