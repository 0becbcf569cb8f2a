package session

import "time"

const (
	MaxConsoleKeys = 2048     // passkeys of an agent's page in a trust bundle, those that were revoked too
	MaxAssertion   = 16 << 10 // bytes of what a passkey said to a grant, with its key; real ones have a tenth
	MaxNodes       = 16       // of the broker, that a hospital accepts
	MaxEventData   = 32 << 10 // bytes of Event.Data; longer data is split by whoever records it
	// LargestConsole and LargestConsoleSide bound a console's pixels, and each of its sides;
	// ConsoleTile is the side of the squares in which recordings keep them.
	LargestConsole     = 3840 * 2400
	LargestConsoleSide = 8192
	ConsoleTile        = 64
	// LargestCursor bounds the sides of a console's cursor: its picture fits into an event.
	LargestCursor = 88
	// ProvingTime is what an engineer's ssh has from its first byte to a proven key, at the
	// jump host and again at the agent: a dozen round trips of a slow line.
	ProvingTime  = time.Minute
	maxClaim     = 128  // bytes of a claim's name; some are URLs
	maxParameter = 2048 // bytes of a parameter of an authorization request
	maxOrigin    = 255  // bytes of an audit log's name: a host and a path

	// How old an approver's sign-in may be when its token comes in.
	DefaultFresh = time.Minute
	MaxFresh     = 5 * time.Minute

	MaxAsking = 5 * time.Minute // an operator is asked at a time, at most: what an engineer waits for
)

// Of critical sections: what a grant gives, an agent declares and the link takes.
const (
	MaxCritical    = 30 * time.Minute // of one session in all: what a device takes for its firmware
	MaxCriticalWhy = 200              // bytes of why there is one
)

// Of who somebody is and where a page stands: what an agent tells, the link takes and the
// broker's log writes down.
const (
	MaxIdentity = 512 // bytes of an issuer, and of its name for somebody
	MaxHost     = 253 // bytes of a name of the DNS (RFC 1035 section 2.3.4)
)

// MaxSaid bounds what an agent tells and what the link takes, in one.
const MaxSaid = 256 // bytes of what a source of a scanner's state adds: one line
