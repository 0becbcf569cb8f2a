package rdp

import "time"

const (
	// loginTime bounds everything from the first byte to the console's screen.
	loginTime = 30 * time.Second
	// writeTime bounds one message to a console that takes nothing.
	writeTime = 20 * time.Second

	// againTime bounds how long a broken connection is tried again, each try with a longer pause.
	againTime  = 45 * time.Second
	firstPause = 250 * time.Millisecond
	maxAgain   = 20 // connections of one client that may break

	maxFragment = 1 << 20 // of an update in pieces
	maxBatch    = 64      // messages that are shown at once
	maxBroken   = 64      // pictures that could not be decoded, and were asked for again
	maxWork     = 8       // screens that one message may draw
	maxCaps     = 64      // sets of capabilities
	maxRounds   = 64      // messages before the console is ready
	maxStarts   = 64      // times that a console may begin anew
	maxShapes   = 25      // pointers that the console may keep here
	maxText     = 256 << 10
	maxChunk    = 1600            // of a channel's message, in one piece
	maxClip     = 2*maxText + 256 // of a clipboard's message
	maxName     = 15              // of this client, in characters
	maxLogin    = 255             // of user, domain and password, in characters
	maxInput    = 15              // events in one message
	maxHeld     = 64              // keys

	// maxShape are the sides of a pointer that is read, if only to show an arrow for it; 32 are
	// asked for.
	maxShape = 384
	// padding is what pictures may be wider and higher than the screen.
	padding = 64
)
