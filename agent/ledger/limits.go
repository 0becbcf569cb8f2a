package ledger

import "time"

const (
	maxFile       = 1 << 20 // bytes of an entry; the engineer and 16 approvers with tokens of idtoken.MaxToken stay below
	maxPending    = 256     // requests that wait for an answer
	maxExtensions = 64      // of one grant
	maxCauses     = 8       // that freeze one session at a time

	maxBackwards = 30 * time.Second // by which the clock may step back after an admission
)
