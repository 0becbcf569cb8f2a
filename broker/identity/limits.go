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

// What a sign-in may take. Those that fail and those that succeed count apart, or whoever
// fails on purpose would keep their neighbours out.
const (
	perPerson     = 20  // sign-ins a minute that succeed
	badPerPerson  = 5   // that a good token of theirs does not make
	perNetwork    = 300 // at once that succeed, and as many in the next minute: a change of shift behind one address
	toldOfNetwork = 60  // refused sign-ins a minute whose reason is kept for their page, each network's
	toldOfAll     = 600 // the same, of all networks
	asksOfCaller  = 10  // at once of one connection, about codes that are none; then one a second
	asksOfNetwork = 20  // a second, three times as many at once

	roundTripTime = 10 * time.Minute // for a person at the identity provider
	maxState      = 4096             // bytes of a sign-in's state
	maxTokenAge   = 15 * time.Minute // of an ID token at login
	usedTime      = 20 * time.Minute // that a token is known to be used: its age, and twice the leeway
	leeway        = idtoken.Leeway   // for other people's clocks
	maxToken      = idtoken.MaxToken // bytes of an ID token
	maxShown      = 200              // bytes of what is only shown
)

// How refused sign-ins are written down: one entry of each network and account, and then one
// in so long of all that followed. A crash loses the counts of that time, never a first one.
const (
	refusedEvery      = 10 * time.Minute
	accountsOfNetwork = 10  // that are counted apart
	maxOrigins        = 600 // networks and accounts that are: one entry a second, whoever tries
)

// freshMetadata is how old an identity provider's discovery may be.
const freshMetadata = time.Hour
