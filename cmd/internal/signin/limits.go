package signin

import "time"

// A talk with an identity provider, for which a person waits.
const (
	discoveryTime = 10 * time.Second
	exchangeTime  = 15 * time.Second // of a code for a token
	maxAnswer     = 256 << 10        // bytes of either's answer
)
