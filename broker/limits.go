package broker

import "time"

// Bounds of what is read and shown of recordings. How large they can be is the format's
// own matter: recordings.MaxSegments, recordings.Largest.
const (
	maxSmallPart = 1 << 20 // bytes of a header or a seal, which are read here; segments pass unread
	keptIndexes  = 8       // of the recordings that were shown last
	maxBack      = 128     // segments before a moment in which a begin is looked for: the recorder is never further behind
	atOnce       = 8       // segments that are read for one of them before the next has its turn
	maxDigests   = 4096    // recordings that wait to be summed up; one that finds no place is asked for again
)

const maxApproverMails = 50 // people who are written to for one request

// lowDisk is how many bytes of a disk are too few to be ready.
const lowDisk = 128 << 20

// The shares of the vault's disk.
const (
	siteShare = 50      // percent of it that one site gets, unless the configuration says otherwise
	keptFree  = 1 << 30 // bytes at the most that recordings leave free, of a twentieth
)

// The port that web and link share.
const (
	firstByteWait       = 10 * time.Second // until a connection says what it is
	maxStrangers        = 4096             // connections of nobody who has shown a certificate or signed in
	maxStrangersNetwork = 512              // the same, of one network
	shakeEvery          = time.Second / 5  // a handshake more of a network that is not known
	shakeBurst          = 300              // and so many at once: a change of shift behind one address
	writeWait           = 30 * time.Second // for a browser to take the next piece
	writePiece          = 32 << 10         // bytes of one; a TLS record is one
)

// The other nodes, and the copy of this node's audit log.
const (
	peersEvery   = 5 * time.Second
	beatGone     = 30 * time.Second // a node that said nothing for so long does not run
	copyEvery    = time.Second      // of the log, when it grew
	patience     = 30 * time.Second // with a checkpoint that not all have cosigned
	maxPeersFile = 1 << 20          // bytes: the checkpoints of session.MaxNodes nodes
)

// maxOperatorScan is how many entries of the audit log are looked at for one answer to an operator.
const maxOperatorScan = 1_000_000

// Events that the audit log is owed, in the store.
const (
	owedLife    = 90 * 24 * time.Hour
	maxRecalled = 4096
)

// What agents are told, and ask for.
const (
	roundEvery  = time.Minute      // every agent gets the newest checkpoint
	roundWait   = 10 * time.Second // for one agent
	roundWidth  = 64               // agents at a time
	settleAgain = time.Second      // what could not be settled waits for the store
	relayDial   = 10 * time.Second // for an issuer to answer a connection
	askTime     = 10 * time.Second // for all issuers of a new configuration to answer
)

// What check looks at.
const (
	maxLooked = 100_000             // names in a directory
	renewSoon = 14 * 24 * time.Hour // before the end of the web's certificate
)
