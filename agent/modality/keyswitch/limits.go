package keyswitch

import "time"

// Bounds of a key switch.
const (
	sampleEvery = 25 * time.Millisecond  // off must be felt within a second, and a loose contact be seen
	steady      = time.Second            // closed for this long is on
	maxSilence  = 500 * time.Millisecond // without a sample, the key is off
	tellEvery   = 2 * time.Second        // what has not changed is told again

	maxDetail = 120 // bytes of what the system says of a contact
)
