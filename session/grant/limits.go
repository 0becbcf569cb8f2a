package grant

import (
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
)

// Of the documents.
const (
	MaxDocument  = 4096                // bytes of a request or a grant
	MaxReason    = 1000                // bytes of the engineer's words
	MaxRef       = 64                  // bytes of a work order's name
	MaxKeys      = 4                   // of one grant, the request's own included
	maxList      = 32                  // services, channels or obligations
	maxIss       = session.MaxIdentity // bytes of an issuer's URL
	maxSub       = idtoken.MaxSubject  // bytes
	maxListed    = 8                   // of a person's groups, in a refusal
	maxApprovers = 16                  // that an asset's policy can want, and that give some proof for one grant
)

// Shares of what waits for an answer. Broker and agent hold people to them, so that
// nobody's requests keep out those of others.
const (
	MaxWaiting       = 16  // requests of one engineer
	MaxVendorWaiting = 128 // requests of one vendor's engineers, at one hospital: half of what its agent takes
)

// Of times. An asset's policy narrows the first two.
const (
	defaultLongest = 8 * time.Hour       // of a session: a shift
	defaultWindow  = 24 * time.Hour      // in which it begins
	Farthest       = 30 * 24 * time.Hour // ahead that a window may begin
	slack          = 2 * time.Minute     // an engineer's clock may be ahead of the agent's
	MaxTokenAge    = 15 * time.Minute    // of a token at its receipt

	WatchTime = 15 * time.Minute // of a leave to watch, from when its token was minted

	// KeyReach is how far ahead a session may begin whose key stands in the request,
	// and how long after the request's receipt its first connection may come. Beyond
	// it an activation is needed that came in at most ActivationTime ago.
	KeyReach       = time.Hour
	ActivationTime = 15 * time.Minute
)
