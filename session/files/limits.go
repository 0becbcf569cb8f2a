package files

import (
	"time"

	"github.com/sallyport/sallyport/session"
)

const (
	maxOpen     = 128              // open files and directories of one client
	maxPath     = 4 << 10          // bytes of a path
	maxListing  = 32 << 20         // bytes that one directory's listing takes in the record
	entryCost   = 96               // of them, for an entry beside its names
	maxFlights  = 256              // requests that the device has not answered
	lastAnswers = 10 * time.Second // that a device has when the client is gone

	maxRead = 255 << 10 // bytes of one read, as OpenSSH bounds it

	eventContent = session.MaxEventData - 8 // bytes of content in one event
	// preferred is what clients that ask are told to move at once. Its events are full,
	// and with its header it fits whole packets of ssh.
	preferred = 7 * eventContent

	// hashAhead is how many bytes may run ahead of the next one in file order. A client's
	// parallel requests arrive within 64 chunks of 32 KiB; twice that is generous.
	hashAhead = 4 << 20
	chunkCost = 128 // bytes that a chunk takes beside its own: many small ones are much, too

	maxHeldSession = 16 << 20 // bytes that the files of one session hold ahead
	maxHeld        = 64 << 20 // and those of all sessions of an agent
	maxAheadEach   = 16 << 20 // bytes that the downloads of one session ask for ahead of its browsers
	maxAhead       = 64 << 20 // and those of all sessions; one chunk of each beside

	// MostHeld is what the files of all sessions of an agent hold.
	MostHeld = maxHeld + maxAhead

	maxMessage   = 16 << 10     // bytes of a browser's JSON message, either way
	maxSize      = 1 << 50      // bytes of a file; far below what JavaScript counts exactly
	maxOps       = 64           // operations of one browser, waiting ones among them
	maxTransfers = 8            // of these, transfers that move
	maxEntries   = 20_000       // of one directory, in a browser
	maxName      = 1 << 10      // bytes of a name in a browser's listing
	creditWindow = 256 << 10    // bytes that a browser's upload may be ahead of the device
	chunkSize    = eventContent // bytes of one data frame towards the browser
	readAhead    = 64           // chunks that are asked for ahead of the browser
)
