package ledger

import (
	"time"

	"github.com/sallyport/sallyport/session/grant"
)

const (
	maxFile       = 1 << 20                    // bytes of an entry; the engineer and 16 approvers with tokens of idtoken.MaxToken stay below
	maxPending    = 2 * grant.MaxVendorWaiting // requests that wait for an answer; extensions beside them
	maxExtensions = 64                         // of one grant
	maxSections   = 64                         // critical ones, of one session
	maxCauses     = 8                          // that freeze one session at a time
	maxConsenter  = 400                        // bytes of who let a session open
	maxTries      = 1000                       // askings of one grant, and wrong codes; the engine allows far fewer
	maxBars       = 256                        // scopes that are frozen by name; everything can be, beside them
	maxEngineer   = 320                        // bytes of an e-mail address or subject

	// Requests that wait, and grants that nobody has opened: a fleet's maintenance, asked
	// for ahead.
	maxKept         = 1024
	maxKeptVendor   = maxKept / 2
	maxKeptEngineer = 64

	// What is over: of one engineer, of a vendor, and altogether. Until its documents have
	// all been too late for keepOver it is remembered, and nobody may ask for more than that.
	maxPast         = 4 * maxPastEngineer
	maxPastVendor   = 2 * maxPastEngineer
	maxPastEngineer = 4096
	keepOver        = 14 * 24 * time.Hour
	forgetAfter     = time.Hour // of this process's own time, far beyond the age of any proof that is taken
	forgetMost      = 256       // files at a time

	reserveSize = 2 << 20 // bytes kept for closing and freezing on a full disk: a hundred entries, were each the last to find room

	maxBackwards = 30 * time.Second // by which the clock may step back after an admission
)
