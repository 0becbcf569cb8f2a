package store

import "time"

// Bounds of what the store takes and gives.
const (
	MaxBody  = 1 << 20 // bytes of one document
	MaxName  = 256     // bytes of an id, an index name or a counter's key
	MaxUnder = 96      // names under which one document stands
	MaxPage  = 1000    // documents of one page
	MaxPlace = 9_999_999_999_999_999
	maxTries = 64  // of one Update against others
	pageRead = 250 // documents that All reads at a time

	maxLife   = 10 * 365 * 24 * time.Hour // of a document that has an end
	trialTime = time.Minute               // after which a trial that was cut off is gone
)

// Bounds of following.
const (
	maxKinds   = 8                // kinds of one follower
	maxPending = 4096             // changes that a follower has not taken yet
	kept       = 1024             // changes that a stream keeps at the least
	tooMany    = 4096             // entries read of a stream to catch up; it is trimmed long before
	batch      = 256              // changes read at once
	lookAgain  = 10 * time.Second // how long a waiter trusts the stream before it looks for itself
)
