package ledger

import "time"

const (
	maxFile       = 1 << 20 // bytes of an entry; the engineer and 16 approvers with tokens of idtoken.MaxToken stay below
	maxPending    = 256     // requests that wait for an answer
	maxExtensions = 64      // of one grant
	maxCauses     = 8       // that freeze one session at a time
	maxBars       = 256     // scopes that are frozen by name
	maxEngineer   = 320     // bytes of an e-mail address or subject

	reserveSize = 2 << 20 // bytes kept for closing and freezing on a full disk: a hundred entries, were each the last to find room

	maxBackwards = 30 * time.Second // by which the clock may step back after an admission
)
