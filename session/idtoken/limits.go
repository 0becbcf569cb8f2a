package idtoken

import "time"

// Of a token.
const (
	MaxToken   = 32 << 10        // bytes; real ones have 700 to 4000, with 200 groups' ids 10,000
	Leeway     = 2 * time.Minute // between the issuer's clock and ours, for one token
	MaxSubject = 255             // bytes; OpenID Connect Core section 2
	maxDisplay = 200             // bytes of an e-mail address or a name
	maxDepth   = 16              // of the JSON; real tokens use 3
)

// Of an issuer's keys.
const (
	maxKeys    = 50              // in one key set
	minRSA     = 2048            // bits
	maxRSA     = 8192            // bits: what costs too much to check
	maxBody    = 256 << 10       // bytes of a discovery document or key set
	fetchLimit = 5 * time.Second // for one document
	// throughLimit is for one that somebody else asks for, who may have to dial in first.
	throughLimit = 20 * time.Second
	minGap       = 15 * time.Second // between two refreshes; who can wait for it (Patience) loses no signature
	coldGap      = 5 * time.Second  // between two attempts while there are no keys at all
	fresh        = time.Hour        // after this the keys are asked for again
	maxStale     = 24 * time.Hour   // after this old keys count no more, when Options say nothing

	// Patience is how long a token with an unknown key may wait where a person's signature
	// hangs on it: as long as the next refresh may take to be allowed, and less than agent
	// and broker wait for each other's answer.
	Patience = 18 * time.Second

	// MaxSkew is how far our clock may be from an issuer's before new grants are refused.
	MaxSkew = 30 * time.Second
)
