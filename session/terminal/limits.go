package terminal

import "time"

// Bounds of what an engineer's client may ask for. What stands in JSON keeps its event
// within session.MaxEventData even when every byte is escaped.
const (
	maxTerm      = 64        // bytes of a terminal type
	maxModes     = 512       // bytes of encoded terminal modes
	maxCommand   = 128 << 10 // bytes of a command line: what Linux takes as one argument
	legibleBytes = 4 << 10   // of a command that stand in JSON
	maxSize      = 4096      // columns or rows
	maxSignal    = 32        // bytes of a signal name
	maxVariables = 64        // that a client sets in the environment
	maxVariable  = 256       // bytes of a variable's value
)

// Bounds of what is on its way.
const (
	// chunkSize is read and written at once: an event of a recording, and an SSH packet
	// or a browser's frame that fits two TLS records with all that is around it.
	chunkSize   = 32<<10 - 256
	behindMost  = 16      // recorded chunks that wait to be written: 512 KiB
	behindSmall = 4 << 10 // bytes; what a terminal shows at once is not worth a hand-over

	exitTime = 100 * time.Millisecond // from the end of output to the exit status, before that end is passed on
)
