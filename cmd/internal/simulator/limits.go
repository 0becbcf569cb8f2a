package simulator

import "time"

// What peers can make a scanner hold.
const (
	maxConns     = 64               // of all peers
	maxChannels  = 16               // per connection
	handshakeMax = 20 * time.Second // from accept to a login
	maxLine      = 8 << 10          // bytes of a command line
	maxAhead     = 64 << 10         // bytes typed or sent ahead of a program
	maxWords     = 200              // of a command line
	maxSide      = 4096             // columns or rows of a terminal
	maxSeen      = 10000            // of what a test can look at
	maxDetail    = 200              // bytes of a request kept there
	maxFlood     = 64 << 30         // bytes of one flood
)

// The made-up journal.
const (
	eventSlot  = 9 * time.Minute // at most one event in each
	maxSince   = 30 * 24 * time.Hour
	maxEvents  = 5000 // that are looked at
	maxJournal = 500  // lines that are shown
)

// What people can make a console hold.
const (
	maxTyped    = 400 // letters of its command line
	maxPast     = 50  // lines that can be recalled
	maxHeldKeys = 32
	maxLines    = 500       // of what a command says
	maxSaid     = 128 << 10 // bytes of it
	runTime     = 20 * time.Second
	maxViewers  = 16
	greetTime   = 20 * time.Second // of a viewer's login, where we write it by hand
)
