package mpps

import "time"

// Bounds of the listener.
const (
	maxOfOne = 4 // connections of one address at a time, of those that are configured; for the next one the oldest goes

	associateTime = 10 * time.Second // to ask for an association
	messageTime   = 30 * time.Second // from a message's first byte to its last
	idleTime      = 5 * time.Minute  // between two messages
	writeTime     = 10 * time.Second // for an answer to be taken
	longestTime   = time.Hour        // of an association

	maxAssociate = 32 << 10 // bytes of a request for an association
	maxPDU       = 16 << 10 // of every other PDU; announced
	maxCommand   = 4 << 10  // of a command set
	maxDataSet   = 32 << 20 // of a data set that passes by: one that lists ten thousand images has 2 MiB
	maxContexts  = 128      // presentation contexts of an association; the ids are odd bytes
	maxSyntaxes  = 64       // transfer syntaxes of a context
	maxDepth     = 8        // of sequences within sequences
	maxStatus    = 16       // bytes of a status
	maxUID       = 64       // characters

	maxDetail   = 120            // bytes of what the system says of the port
	maxOpen     = 32             // procedure steps of an asset in progress at a time
	longestStep = 12 * time.Hour // one that has not ended by then was forgotten

	tellEvery   = 2 * time.Second // the state is told again
	listenAgain = 2 * time.Second // after a port could not be opened
)
