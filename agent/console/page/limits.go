package page

import "time"

const (
	maxForm        = 4 << 10  // bytes of a form: a name and a PIN
	maxKeyForm     = 32 << 10 // of one with what a passkey answered
	maxHeader      = 16 << 10
	maxPIN         = 64      // characters
	minPIN         = 6       // digits
	maxHash        = 512     // bytes of a PIN's hash in its file
	maxNames       = 16      // host names of one page
	maxNetworks    = 64      // from which it is answered
	maxConnections = 256     // in all
	maxFromOne     = 24      // of one address; the idle, and then the longest, makes room
	maxStreams     = 64      // boards that follow; a page without one is read again by hand
	maxSignIns     = 128     // at a time; the oldest makes room
	maxOfOne       = 8       // of one person, likewise
	maxOfNetwork   = 48      // of one network, likewise
	maxTrips       = 256     // people who are at the identity provider; the oldest makes room
	maxTripsOf     = 32      // of one network, likewise
	maxAsking      = 4       // questions to the identity provider at a time
	maxBack        = 8 << 10 // bytes of what a browser brings back from there
	maxReason      = 300     // bytes of why somebody refused
	maxRequests    = 24      // shown with what was signed; the oldest first
	maxCertificate = 64 << 10
)

// A PIN is short, so guesses are few: of one network, and of all together. The agent's own
// machine has a share of its own, so that strangers' guesses keep nobody at it out.
const (
	guessesFromOne = 5
	guessEvery     = 6 * time.Minute // one more, of one network
	guessesInAll   = 20
	guessInAll     = 3 * time.Minute // one more, of all
)

// Who goes to the identity provider asks it first, from here.
const (
	tripsAtOnce = 12
	tripEvery   = 5 * time.Second // one more, of one network
	tripTime    = 10 * time.Minute
)

const (
	signedIdle    = 30 * time.Minute // without an act, a sign-in is over
	signedLongest = 12 * time.Hour   // a shift
	liveEvery     = 500 * time.Millisecond
	beatEvery     = 15 * time.Second // a board that does not change says that it lives
	writeWithin   = 10 * time.Second
	certificateTo = 10 * 365 * 24 * time.Hour
	renewBefore   = 30 * 24 * time.Hour
)

// argon2id by OWASP's second choice: 19 MiB, two passes. One hash is made at a time.
const (
	hashMemory = 19 << 10 // KiB
	hashPasses = 2
	hashBytes  = 32
	saltBytes  = 16
)
