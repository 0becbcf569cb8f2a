package access

import (
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/idtoken"
	"github.com/sallyport/sallyport/session/link"
)

// Bounds of what an agent may announce.
const (
	maxAgents     = 32   // of a site
	maxFormer     = 256  // keys that a site's agents had before
	maxSiteAssets = 1000 // of all agents of a site; one listing reads them
	maxAssets     = 500  // of one agent
	maxServices   = 64   // of one asset
	maxLabel      = 100  // bytes of what a person reads of it
	maxApprovals  = 10   // approvers of one request
)

// Bounds of what people get and give.
const (
	pageUsual = 100              // entries of one answer when nobody says how many
	pageMost  = 500              // and at the most
	pageRead  = 250              // documents read at a time
	mostRead  = 5000             // documents that one answer looks at; it says where to go on
	maxToken  = idtoken.MaxToken // bytes
	maxDenial = 500              // bytes
	maxTold   = 500              // events of one session's certificates and critical sections

	maxToldKeys    = session.MaxConsoleKeys // passkeys of an agent's page of which is known that the log has them
	maxKeyNews     = 256                    // events of an agent's passkeys in the log a day, and a few more where many come at one moment
	maxToldConsent = 200                    // and of what the operator was asked about it; an agent that keeps its own bounds tells fewer
	maxWhy         = 500                    // bytes of why a recording is looked at
	saltBytes      = 32
	maxComment     = 1000 // characters of a review
	maxText        = 200  // bytes of what a list is searched by
	mostNamed      = 64   // sites at which a scanner's name is looked up one by one
)

// Bounds of what is kept of one session.
const (
	maxRecordings = 1000
	maxCauses     = 8             // for which it is frozen
	maxKeys       = grant.MaxKeys // that open it, the request's own among them
)

// Bounds of what is kept of one recording.
const (
	maxSpans    = 1000 // of segments that overtook each other; what goes beyond is in the vault, and not counted here
	maxOthers   = 16   // parts that are no segment
	maxReviews  = 100
	maxViewings = 200 // the log has them all
	maxUnheard  = 64  // recordings of a site of which no session is known
	maxStuck    = 400 // bytes of why a part is not stored, and of what to do
)

// Bounds of what one agent looks at for people at a time, of link.MaxWork. What is left is for
// what the broker itself asks; what ends or stops something has as many again.
const (
	maxAsked   = link.MaxWork / 2   // by engineers; a half of it by those of one vendor
	askedBy    = 3                  // by one of them
	maxDecided = link.MaxWork/2 - 2 // by people of its hospital
	askersWait = 16                 // questions of one person for which it has no room yet
	askingTime = 10 * time.Second   // that anybody waits for that
)

// Times.
const (
	firstOpen   = grant.KeyReach       // after its request a session may open for the first time; later it needs an activation
	freshFor    = grant.ActivationTime // an activation lets a session open that needs one
	untaken     = 10 * time.Minute     // a key finds a request that its agent has not taken yet
	keysAfter   = 24 * time.Hour       // a key finds its engineer after its window, so that ssh can say why it does not let them in
	maxAhead    = grant.Farthest       // a window may begin
	viewingLast = 8 * time.Hour        // a viewing counts
	answerDue   = time.Minute          // is longer than anybody waits for an agent's answer
	clockSlack  = 15 * time.Minute     // an agent's clock may differ
	noticeTime  = 2 * time.Second      // telling may hold up an answer
	standsMost  = 24 * time.Hour       // an operator's word on a scanner holds
	standsAgain = 10 * time.Minute     // a word that says nothing else is kept as it was
	standsHeard = 30 * time.Minute     // after a source spoke, its word counts; agents ask for less
)

// Figures of what is usual at a site.
const (
	usualOf    = 500             // latest decisions that are looked at
	usualNews  = 8               // decisions that are read first where the earlier ones are known
	usualSites = 1000            // whose decisions are remembered
	usualOver  = 50              // latest decisions on one scanner that count
	usualAge   = 2 * time.Second // how old another broker's news may be
	maxRecent  = 5
)
