package screen

import "time"

// Bounds of one console.
const (
	maxViewers = 8 // at a time, of the engineer

	graceTime    = 60 * time.Second       // its viewers may all be away this long
	stallTime    = 10 * time.Second       // a viewer may take nothing this long
	farewellTime = 600 * time.Millisecond // last words to viewers
)
