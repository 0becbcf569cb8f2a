// Package link is the wire between agent and broker: who dials, what may be said,
// and how large it may be. It moves opaque payloads and knows no documents, no
// device protocol and no storage.
package link

import (
	"context"
	"io"
	"net"
	"time"

	"github.com/sallyport/sallyport/session"
)

// ALPN is the protocol name by which the broker's port tells the link from the web.
const ALPN = "sallyport/1"

// Hello is what an agent says of itself on its control connection. No addresses,
// no logins: names, ports and policy for display.
type Hello struct {
	V        int             `json:"v"`
	Site     string          `json:"site"`
	Agent    string          `json:"agent"`
	Identity string          `json:"identity"` // key line of the long-lived identity key
	Boot     string          `json:"boot"`     // changes with each start of the agent
	Version  string          `json:"version"`
	Assets   []session.Asset `json:"assets"`
}

// Deliver hands the agent one thing to check and remember. Answered by a Verdict.
type Deliver struct {
	Kind    string `json:"kind"`              // "request", "approval", "withdraw", "revoke"
	Request []byte `json:"request,omitempty"` // exact document bytes
	Grant   []byte `json:"grant,omitempty"`
	Token   string `json:"token,omitempty"`
	Salt    []byte `json:"salt,omitempty"`
	ID      string `json:"id,omitempty"` // R-... or S-... for withdraw, revoke
}

// Verdict is the agent's answer.
type Verdict struct {
	OK       bool         `json:"ok"`
	Admitted bool         `json:"admitted"`           // an approval that completed the quorum
	Count    int          `json:"count"`              // distinct approvers so far
	Needed   int          `json:"needed"`             // approvers that the asset's policy asks for
	Received *time.Time   `json:"received,omitempty"` // the agent's receipt time
	Kind     session.Kind `json:"kind,omitempty"`     // when not OK
	Message  string       `json:"message,omitempty"`
	Next     string       `json:"next,omitempty"`
}

// Open asks the agent for one stream. The agent dials back and presents Token.
type Open struct {
	Token   string `json:"token"` // 256 bit, single use, <= 10 s, bound to the agent's certificate
	Node    string `json:"node"`  // name of a node of the agent's own configuration
	Asset   string `json:"asset"`
	Service string `json:"service"`
	Peer    string `json:"peer,omitempty"` // the engineer's network address, for the record
}

// SessionReport is what the agent tells of one session. Reports are idempotent;
// the highest Seq wins.
type SessionReport struct {
	Session    string            `json:"session"` // S-...
	Request    string            `json:"request"` // R-...
	Seq        uint64            `json:"seq"`
	Asset      string            `json:"asset"`
	Service    string            `json:"service"` // of the first connection
	Opened     time.Time         `json:"opened,omitzero"`
	Deadline   time.Time         `json:"deadline,omitzero"`
	Frozen     bool              `json:"frozen,omitempty"`
	Ended      time.Time         `json:"ended,omitzero"`
	Reason     session.EndReason `json:"reason,omitempty"`
	Recordings []RecordingReport `json:"recordings,omitempty"`
}

// RecordingReport lists one recording of a session, so that it shows before its
// first segment has been uploaded.
type RecordingReport struct {
	Recording string    `json:"recording"` // V-...
	Service   string    `json:"service"`
	Started   time.Time `json:"started"`
}

// End tells the agent to end a session or, with Request set, to forget a request.
type End struct {
	Session string            `json:"session"`
	Reason  session.EndReason `json:"reason"` // killed-remote, completed or revoked
	By      session.Person    `json:"by"`
}

// Put announces one part of a recording; Size bytes follow on the same connection.
type Put struct {
	Recording string `json:"recording"`
	Part      string `json:"part"`
	Size      int64  `json:"size"`
	SHA256    string `json:"sha256"`
}

// AgentHandler is what the agent does with what the broker says. Implemented by package agent.
type AgentHandler interface {
	Deliver(ctx context.Context, d Deliver) Verdict
	End(ctx context.Context, e End) Verdict
	// Stream serves one dialled-back stream and closes conn when done.
	Stream(ctx context.Context, o Open, conn net.Conn)
}

// BrokerHandler is what the broker does with what an agent says. The site and
// agent names come from the verified certificate, never from the message.
// Implemented by package broker.
type BrokerHandler interface {
	Hello(ctx context.Context, h Hello) error
	Report(ctx context.Context, site, agent string, r SessionReport) error
	Put(ctx context.Context, site, agent string, p Put, body io.Reader) error
	// Relay returns a connection to the host of a pinned issuer of that site.
	Relay(ctx context.Context, site, agent, issuer string) (net.Conn, error)
}
