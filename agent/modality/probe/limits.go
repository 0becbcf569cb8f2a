package probe

import "time"

// Bounds of a probe.
const (
	askEvery = 2 * time.Second // a device is asked anew
	askTime  = 3 * time.Second // in which it must have answered

	maxAnswer = 64 << 10 // bytes of an answer
	maxPath   = 512      // bytes of a page's path, and of a field's
	maxWords  = 32       // words that have a meaning
	maxDetail = 100      // bytes of what is told of an answer
)
