package api

import (
	"time"

	"github.com/sallyport/sallyport/session/link"
)

// Bounds of a call.
const (
	maxBody    = 1 << 20
	maxHeader  = 16 << 10
	maxForm    = 8 << 10 // an identity provider's answer, which goes on as a query within maxHeader
	maxCookies = 20
	maxParams  = 200
	bodyTime   = 10 * time.Second
)

// How often anybody may call, a second; twice as many at once.
const (
	callsOfPerson  = 20
	callsOfSource  = 100
	narrowOfPerson = 5 // beside these, of calls that narrow; four times as many at once
	comingOfConn   = 2 // of one connection that signs in, beside these; four times as many at once

	provenTime = 15 * time.Minute // a login that was good so lately has its own share
)

// Checks, each of which reads a whole recording.
const (
	checkEvery = 10 * time.Second // of one person
	checkBurst = 3
)

// What lasts, of one broker. The people of one issuer have a quarter of it together.
const (
	maxWaiting       = 2000 // long polls; beyond it they answer at once
	waitsOfPerson    = 20
	maxStreams       = 2000 // event streams
	streamsOfPerson  = 10   // the oldest goes
	maxSockets       = 512  // attached
	socketsOfPerson  = 16
	maxUnproven      = 128 // sockets that have not shown a ticket
	unprovenOfSource = 16
	attachesAMinute  = 30 // of one person
)

// Work that waits for its turn; see works.
const (
	turnTime = 20 * time.Second // that anybody waits
	busyWait = 5                // seconds after which to try again
)

// A socket and its ticket.
const (
	ticketTime  = 30 * time.Second
	ticketText  = 43 // characters of 256 bit
	routeTime   = 5 * time.Second
	openTime    = link.TokenTime + 2*time.Second
	maxReason   = 120 // bytes of a closing reason
	maxMessage  = 1 << 20
	relayBuffer = 32 << 10 // all that is held of either direction; whoever does not take it holds the other side up
)

// Events.
const (
	maxNotices = 256             // audiences that are remembered
	noticeTime = 5 * time.Second // for one to be looked up
)

// A look into the audit log.
const (
	maxScanned = 20_000 // entries that one call reads
	maxShown   = 500    // events that one call answers
	maxLeaves  = 16_384 // hashes that one call answers
)
