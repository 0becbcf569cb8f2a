package shell

import "time"

// Bounds of one connection, and of one browser.
const (
	maxChannels        = 16                 // open channels of one connection
	maxSessionChannels = 32                 // of all connections of one session: each holds 2 MiB either way where nobody reads
	maxPersonChannels  = maxAllChannels / 4 // of all sessions of one engineer
	maxVendorChannels  = maxAllChannels / 2 // of all engineers of one vendor
	maxAllChannels     = 192                // of all sessions
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

	drawMost  = 128 << 10              // bytes of a screen that wait to be drawn for who may watch
	drawEvery = 250 * time.Millisecond // then they are drawn
	drawCells = 1 << 18                // of all screens of a stage; those for which there is no room have the usual size
)
