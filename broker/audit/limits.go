package audit

import "github.com/sallyport/sallyport/recordings/witness"

const (
	maxKeyFile = 16 << 10 // bytes; an ed25519 key in PEM has about 120
	maxNotes   = 1000     // taken with one look into the inbox
	maxGroup   = 256      // entries written with one sync: nobody waits for more than those before
	cacheSize  = 512      // full tiles kept in memory, 8 KiB each

	// maxFrame is the largest group in the journal, in bytes: each entry has its length before it.
	maxFrame = maxGroup * (2 + witness.MaxEvent)
)
