package identity

import (
	"time"

	"github.com/sallyport/sallyport/session/idtoken"
)

// How long people stay signed in.
const (
	DefaultIdle     = 8 * time.Hour    // without a call, by command line
	DefaultAbsolute = 12 * time.Hour   // at most: a shift
	WebIdle         = 15 * time.Minute // without a call, by browser: a shared screen
	WebAbsolute     = 8 * time.Hour    // at most
	seenEvery       = time.Minute      // how exact the idle time is; it spares a write per call
	maxLogins       = 40               // of one way and person; the oldest make room
)

// What a sign-in may take.
const (
	perAddress    = 10               // login attempts a minute: a ward behind one address
	perPerson     = 5                // logins a minute
	roundTripTime = 10 * time.Minute // for a person at the identity provider
	maxTokenAge   = 15 * time.Minute // of an ID token at login
	leeway        = idtoken.Leeway   // for other people's clocks
	maxToken      = idtoken.MaxToken // bytes of an ID token
	maxShown      = 200              // bytes of what is only shown
)

// freshMetadata is how old an identity provider's discovery may be.
const freshMetadata = time.Hour
