package audit

import (
	"time"

	"github.com/sallyport/sallyport/recordings/witness"
)

const (
	maxKeyFile = 16 << 10 // bytes; an ed25519 key in PEM has about 120
	maxNotes   = 1000     // taken with one look into the inbox
	maxGroup   = 256      // entries written with one sync: nobody waits for more than those before
	maxOwed    = 4096     // events that wait for the disk; what finds no place is counted, and is on the shelf
	cacheSize  = 512      // full tiles kept in memory, 8 KiB each

	// maxFrame is the largest group in the journal, in bytes: each entry has its length before it.
	maxFrame = maxGroup * (2 + witness.MaxEvent)

	reserveSize = 2 << 20 // bytes kept for what is owed on a full disk: thousands of events
)

// What is owed, and the disk.
const (
	owedWait       = 250 * time.Millisecond // in which a disk that does its part has written
	keepWait       = time.Second            // for the shelf
	lookEvery      = time.Second
	probeEvery     = 10 * time.Second
	hung           = 30 * time.Second // without an answer of the disk
	clockTolerance = time.Hour        // of an earlier process's clock
)
