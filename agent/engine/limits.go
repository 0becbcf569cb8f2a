package engine

import (
	"time"

	"github.com/sallyport/sallyport/session"
)

// Bounds of one engine.
const (
	maxConnections = 16 // per session

	// Connections on which a key was proven, and as many streams of browsers. With the
	// strangers and the views they stay below link.MaxStreams, which has room for other
	// questions beside.
	maxTotal       = 168
	maxPerVendor   = maxTotal / 2
	maxPerAsset    = maxTotal / 3
	maxPerEngineer = 32

	// MostBrowsers are the streams of browsers of one agent.
	MostBrowsers = maxTotal

	maxStrangers     = 48 // streams on which no key was proven yet
	maxStrangersEach = 16 // of them, for one person, as the broker says

	// Of one person a quarter, of one session a half.
	maxLeaves = 96 // keys that may watch
	maxViews  = 24 // streams of those who do

	maxAskings     = 8  // of one grant, ever, that end without consent
	maxAskingsEver = 32 // of one grant, also of those whose engineer went
	maxAskingEach  = 8  // at a time, of one engineer
	maxAsking      = 64 // of all; of one vendor half, and of one asset a quarter
	maxWrong       = 3  // codes, until another is asked for

	maxName = 100 // bytes of the name of somebody who watches

	maxWords = 400 // bytes of why a device was not opened, and of what to do

	refusalsPerKind = 8   // of one kind that are on record one by one
	refusalsKept    = 100 // of all kinds

	askingTime = session.MaxAsking      // an operator is asked
	givenTime  = time.Minute            // their consent waits for the connection that opens
	dialTime   = 15 * time.Second       // device, login included; the device's own limit is lower
	proofTime  = 10 * time.Second       // from the challenge to the proof of a key
	cutTime    = 500 * time.Millisecond // an end waits for a device that is being reached or written to, at most
	settleTime = 2 * time.Second        // a freeze waits for input that was being written
	lingerTime = 3 * time.Second        // who watches and goes is still there this long: a page comes back
	linkGrace  = 60 * time.Second       // the broker may be away this long
	watchEvery = 500 * time.Millisecond
	retryEvery = 5 * time.Second // an end that the ledger did not take is told again
)
