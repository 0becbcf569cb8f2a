package signin

import (
	"time"

	"github.com/sallyport/sallyport/session/idtoken"
)

// A talk with an identity provider, for which a person waits.
const (
	discoveryTime = 10 * time.Second
	exchangeTime  = 15 * time.Second // of a code for a token
	maxForm       = 64 << 10         // bytes of an answer that is posted
	maxToken      = idtoken.MaxToken // bytes of the ID token in it
)
