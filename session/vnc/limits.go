package vnc

import "time"

const (
	// loginTime bounds everything from the first byte to the console's size.
	loginTime = 20 * time.Second
	// writeTime bounds one message to a console that takes nothing.
	writeTime = 20 * time.Second

	maxReason   = 4 << 10 // of a refusal, in bytes
	maxName     = 4 << 10 // of a desktop
	maxSecurity = 64      // types that a server may offer
	maxRects    = 1 << 16 // of one update
	maxPacked   = 64 << 20
	maxLeft     = 64 << 10 // of a packed rectangle, behind its last pixel
	unpackAhead = 8 << 10
	maxJPEG     = 16 << 20
	maxColours  = 256
	maxShape    = 1024 // sides of a cursor that is read, if only to be left out

	// rows that are drawn at once
	strip = 64
)
