package shell

import (
	"time"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session/files"
)

// Bounds of one connection, and of one browser.
const (
	maxChannels        = 16                 // open channels of one connection
	maxSessionChannels = 32                 // of all connections of one session: each holds 2 MiB either way where nobody reads
	maxPersonChannels  = maxAllChannels / 4 // of all sessions of one engineer
	maxVendorChannels  = maxAllChannels / 2 // of all engineers of one vendor
	maxAllChannels     = 192                // of all sessions
	channelCost        = 4 << 20            // bytes of the agent's memory
	maxRejected        = 10                 // refused channels, then the connection is closed
	maxAnswers         = 12                 // to the question for the operator's code, of one connection
	maxTries           = 3                  // keys that may fail

	askEvery     = time.Second            // a client that waits for the operator is asked whether it is there
	answerTime   = time.Minute            // somebody may still type when the operator has answered
	farewellTime = 300 * time.Millisecond // to say last words to a blocked engineer
	graceTime    = 60 * time.Second       // a browser may be away this long
	stallTime    = 10 * time.Second       // a browser may take nothing, or send what does not fit, this long

	// Bytes that wait for browsers that take less than comes, beyond what each has for itself.
	maxWaitingSession = 16 << 20
	maxWaiting        = 64 << 20

	inputRoom = 1 << 20 // bytes typed that may wait for a frozen session or a slow device

	// Aside is what a Line may hold beside its channels, with bounds of its own: files out of
	// order and ahead of browsers, what waits for browsers, and what they type.
	Aside = files.MostHeld + maxWaiting + engine.MostBrowsers*inputRoom

	drawMost  = 128 << 10              // bytes of a screen that wait to be drawn for who may watch
	drawEvery = 250 * time.Millisecond // then they are drawn
	drawCells = 1 << 18                // of all screens of a stage; those for which there is no room have the usual size
)
