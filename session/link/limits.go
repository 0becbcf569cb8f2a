package link

import "time"

// Of what the wire carries; both sides hold to them.
const (
	MaxPart      = 64 << 20 // bytes of one Put
	MaxStreams   = 256      // streams of one agent at a time
	MaxSpares    = 4        // idle spares of one agent at one node
	MaxNodes     = 2        // nodes to which an agent holds a control connection
	maxQuestions = 16       // of these, streams on which issuers are asked
	maxCalls     = 64       // unanswered questions of one side of a connection
	maxUrgent    = 16       // and of those that end or stop something, beside them
	MaxWork      = 16       // questions of one connection in work at a time, and as many urgent ones
	maxUploads   = 4        // upload connections of one agent
	maxRelays    = 4        // relay connections of one agent
	MaxStandings = 50       // scanners of one report of how they stand
	MaxWrong     = 1000     // codes that a report says were wrong
	MaxConsenter = 400      // bytes of who let a session open, or refused

	maxUnsaid = 2 * MaxStreams // connections of one agent that have not said their role

	handshakeTime = 10 * time.Second // from accept to the end of the first frame
	writeTime     = 10 * time.Second // for one frame to leave
	answerTime    = 30 * time.Second // for one answer to come
	pingEvery     = 15 * time.Second
	deadAfter     = 30 * time.Second // without a frame
	bodyTime      = 30 * time.Second // for the next piece of a Put's body
	uploadIdle    = 60 * time.Second // between two puts
	relayTime     = 60 * time.Second // for a whole relay
	spareTime     = 3 * time.Second  // for a spare to answer an open
	stopTime      = 5 * time.Second  // for streams to say goodbye when the agent stops

	TokenTime       = 10 * time.Second // life of an Open's token
	CertificateTime = 24 * time.Hour   // life of an agent's certificate
	MaxJoinTime     = time.Hour        // life of a join token
)

// Of one side.
const (
	maxJoin        = 4 << 10                // bytes of a join token
	maxHead        = 1 << 10                // bytes of a put that is a recording's head
	maxGroups      = 16                     // of an approver, in an answer: no scanner wants more approvers
	maxAnswer      = 4 << 10                // bytes of a grant, or of a reason, in an answer
	maxAnswerToken = 32 << 10               // bytes of the token that approves
	maxNetworks    = 4096                   // that are counted apart; a flood from more begins anew
	copyBuffer     = 64 << 10               // bytes of a part that are moved at a time
	Backdate       = time.Minute            // by which certificates begin early: brokers' clocks differ a little
	backoffFirst   = 250 * time.Millisecond // before the second attempt to reach a node
	backoffMost    = 30 * time.Second       // before any
	stableAfter    = time.Minute            // of a connection: then the back-off begins anew
	renewLook      = time.Minute            // between two looks at the certificate's age
	renewRetry     = 5 * time.Minute        // after a renewal that failed
	renewTime      = 10 * time.Second       // for the answer: pings wait meanwhile

	// alertWait is how long a probe listens before it speaks. A node judges our certificate
	// after our side of the handshake is done; what we say too early makes its connection
	// end with a reset, and the alert that names the reason is lost.
	alertWait = 300 * time.Millisecond
)
