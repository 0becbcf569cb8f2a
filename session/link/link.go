// Package link is the wire between agent and broker: who dials, what may be said,
// and how large it may be. It moves opaque payloads and knows no documents, no
// device protocol and no storage.
//
// This file is the whole protocol on one page.
//
// # Carrier
//
// The agent always dials; nothing listens at the hospital. TLS 1.3 and nothing
// older, ALPN "sallyport/1", both sides with ECDSA P-256 certificates of the
// broker's private CA, no session tickets. The agent pins the CA and expects the
// certificate of the node's name (ServerName), whatever address it dialled. The
// agent's certificate names it by one URI, spiffe://sallyport/site/SITE/agent/AGENT,
// lives 24 h and is renewed at half life. Only enrolment comes without one.
//
// # Frames
//
//	verb (1 byte) | id (4 bytes, big endian) | length (4 bytes, big endian) | payload
//
// The payload is JSON as encoding/json writes it, and nothing else: what does not
// marshal back to the very same bytes (unknown or repeated fields, other case,
// spaces) is refused and the connection closed. An answer carries the id of its
// question; each side counts its own questions from 1. A has no answer: id 0.
//
//	verb     direction  payload        largest  answer
//	role     A → B      Role             1 KiB  see below; first frame of every connection, id 0
//	hello    A → B      Hello            1 MiB  ack
//	ping     A ⇄ B      none                 0  ping (by the broker), id 0
//	deliver  B → A      Deliver        256 KiB  verdict
//	open     B → A      Open             2 KiB  verdict: will dial back, or why not
//	end      B → A      End              4 KiB  verdict
//	verdict  A → B      Verdict          8 KiB
//	report   A → B      SessionReport  256 KiB  ack
//	put      A → B      Put              1 KiB  ack, after Size bytes of body
//	enrol    A → B      Enrolment       16 KiB  issued, or ack with the refusal
//	issued   B → A      Chain           16 KiB
//	ack      B → A      Ack              4 KiB
//
// No verb executes anything, writes outside the spool or updates the agent. The
// broker speaks in names that the agent knows, never in addresses.
//
// # Flow, by the role of the connection
//
//   - control: role, hello → ack. Then reports and pings one way, deliver, open and
//     end the other. The agent pings every 15 s; 30 s of silence is the end.
//   - stream: role with the token of an open; raw bytes from the next byte on. A
//     wrong token closes the connection.
//     A stream to the door "issuer" carries one HTTP/1.1 request of the broker to an
//     identity provider and the answer: the agent asks, and only what it allows.
//   - spare: role, then pings until the broker sends open on it; the agent answers
//     verdict, and when that is OK raw bytes follow in both directions.
//   - relay: role with an issuer → ack; when that is OK, raw bytes to the issuer's host.
//   - upload: role, then put + body → ack, again and again.
//   - enrol: role, enrol → issued, ack → ack: the first ack says that the certificate is
//     kept, and spends the join token; the only role without a certificate. Renewal is
//     an enrol with only a CSR, of the same key, on the control connection.
//
// A side that closes its half of raw bytes says so with TLS close_notify; the other
// half stays open.
//
// # Version
//
// ALPN carries the version. Any change of a verb, a field or a limit is a new one;
// an agent offers all that it speaks, newest first, and the broker picks. V in Role
// and Hello repeats it and must agree.
package link

import (
	"time"

	"github.com/sallyport/sallyport/session"
)

// ALPN is the protocol name by which the broker's port tells the link from the web.
const ALPN = "sallyport/1"

// Version is what Role.V and Hello.V say.
const Version = 1

// verb is the first byte of a frame.
type verb byte

const (
	verbRole verb = iota + 1
	verbHello
	verbPing
	verbDeliver
	verbOpen
	verbEnd
	verbVerdict
	verbReport
	verbPut
	verbEnrol
	verbIssued
	verbAck
)

// largest is the bound of each verb's payload in bytes; a verb that is not here
// does not exist.
func largest(v verb) (int, bool) {
	switch v {
	case verbPing:
		return 0, true
	case verbRole, verbPut:
		return 1 << 10, true
	case verbOpen:
		return 2 << 10, true
	case verbEnd, verbAck:
		return 4 << 10, true
	case verbVerdict:
		return 8 << 10, true
	case verbEnrol, verbIssued:
		return 16 << 10, true
	case verbDeliver, verbReport:
		return 256 << 10, true
	case verbHello:
		return 1 << 20, true
	}
	return 0, false
}

// Role is the first frame of a connection.
type Role struct {
	V      int      `json:"v"`
	Role   RoleName `json:"role"`
	Token  string   `json:"token,omitempty"`  // stream: from the Open
	Issuer string   `json:"issuer,omitempty"` // relay: URL of a pinned issuer
}

// RoleName says what a connection is for.
type RoleName string

const (
	RoleControl RoleName = "control"
	RoleStream  RoleName = "stream"
	RoleSpare   RoleName = "spare"
	RoleRelay   RoleName = "relay"
	RoleUpload  RoleName = "upload"
	RoleEnrol   RoleName = "enrol"
)

// Ack is the broker's answer. An empty Kind means yes.
type Ack struct {
	Time     time.Time    `json:"time"` // the broker's clock
	Kind     session.Kind `json:"kind,omitempty"`
	Conflict bool         `json:"conflict,omitempty"` // put: other bytes are stored under this name
	Receipt  []byte       `json:"receipt,omitempty"`  // put of a head: the broker's countersignature
	Message  string       `json:"message,omitempty"`
	Next     string       `json:"next,omitempty"`
}

// Enrolment asks for a certificate. The broker takes site and agent from the join
// token's record, or at renewal from the certificate in use.
type Enrolment struct {
	Secret   string `json:"secret,omitempty"`   // of the join token, 32 bytes base64url
	CSR      []byte `json:"csr"`                // PKCS #10, ECDSA P-256
	Identity string `json:"identity,omitempty"` // key line of the long-lived identity key
	Proof    []byte `json:"proof,omitempty"`    // its signature over ProofBytes(CSR)
}

// Chain is an agent's certificate and the CA that issued it, DER.
type Chain struct {
	Certificate []byte       `json:"certificate"`
	CA          []byte       `json:"ca"`
	Log         session.Node `json:"log,omitzero"` // the node that answers: name and key of its audit log
}

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
	Kind    Delivery `json:"kind"`
	Request []byte   `json:"request,omitempty"` // exact document bytes
	Grant   []byte   `json:"grant,omitempty"`
	Token   string   `json:"token,omitempty"`
	Salt    []byte   `json:"salt,omitempty"`
	ID      string   `json:"id,omitempty"`  // R-... or S-... that it is about
	Key     string   `json:"key,omitempty"` // key line
	// By is who asked, for withdraw, revoke, freeze, thaw; whose access ends, for disable.
	By *session.Person `json:"by,omitempty"`
	// Node is who delivers, by its name in the agent's own configuration. The agent's
	// end of the link says so, never the message.
	Node string `json:"-"`
}

// Delivery is a kind of Deliver. The agent checks what widens by tokens of its own
// issuers; what narrows needs none.
type Delivery string

// Every kind, and what it carries.
const (
	DeliverRequest    Delivery = "request"    // Request, Token, Salt: an engineer's; widens
	DeliverApproval   Delivery = "approval"   // Request, Grant, Token, Salt: an approver's; widens
	DeliverActivate   Delivery = "activate"   // ID, Key that joins, Token, Salt: an engineer's; widens
	DeliverWatch      Delivery = "watch"      // ID of a session, Key, Token, Salt: a hospital person's; widens
	DeliverThaw       Delivery = "thaw"       // ID, By: lifts the broker's own freeze only
	DeliverFreeze     Delivery = "freeze"     // ID, By
	DeliverWithdraw   Delivery = "withdraw"   // ID of a request, By
	DeliverRevoke     Delivery = "revoke"     // ID of a session, By
	DeliverDisable    Delivery = "disable"    // By: everything of this engineer ends
	DeliverCheckpoint Delivery = "checkpoint" // Request: a note, Grant: its consistency proof, Key of the log
)

// Verdict is the agent's answer.
type Verdict struct {
	OK       bool         `json:"ok"`
	Admitted bool         `json:"admitted"`           // an approval that completed the quorum
	Count    int          `json:"count"`              // distinct approvers so far
	Needed   int          `json:"needed"`             // approvers that the asset's policy asks for
	Received *time.Time   `json:"received,omitempty"` // the agent's receipt time
	Until    *time.Time   `json:"until,omitempty"`    // of a leave to watch
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
	// By is who asks for the stream, as the broker says: whose share it takes until
	// somebody proves a key on it, and nothing else.
	By     session.Identity `json:"by,omitzero"`
	Door   Door             `json:"door"`             // what the stream speaks
	Issuer string           `json:"issuer,omitempty"` // of the door issuer, which is no asset's
}

// Door says what is spoken inside a stream. Who is at its other end shows there.
type Door string

const (
	DoorSSH    Door = "ssh"    // the inner SSH
	DoorAttach Door = "attach" // package session/attach
	DoorTLS    Door = "tls"    // an inner TLS 1.3, for the streams of other programs
	DoorIssuer Door = "issuer" // a question to an identity provider that only the hospital reaches
)

// SessionReport is what the agent tells of one session. Reports are idempotent;
// the highest Seq wins. With Assets it tells how scanners stand, and of no session; with
// Answer what somebody said to a request, with Passkey of a passkey of the agent's page.
type SessionReport struct {
	Session    string            `json:"session"` // S-...
	Request    string            `json:"request"` // R-...
	Seq        uint64            `json:"seq"`
	Asset      string            `json:"asset"`
	Service    string            `json:"service"` // of the first connection
	Protocol   session.Protocol  `json:"protocol"`
	Opened     time.Time         `json:"opened,omitzero"`
	Deadline   time.Time         `json:"deadline,omitzero"`
	Frozen     []string          `json:"frozen,omitempty"` // causes, while it is frozen
	Keys       int               `json:"keys,omitempty"`   // that may open connections
	Ended      time.Time         `json:"ended,omitzero"`
	Reason     session.EndReason `json:"reason,omitempty"`
	Recordings []RecordingReport `json:"recordings,omitempty"`
	NoDevice   *NoDevice         `json:"no_device,omitempty"` // nil: the last device that was dialled answered, and did not say why it ended
	Critical   *Critical         `json:"critical,omitempty"`  // nil: none is on
	Consent    *Consent          `json:"consent,omitempty"`   // nil says nothing

	// Certificates are how the consoles of the session proved who they are, one of a service.
	Certificates []session.Certificate `json:"certificates,omitempty"`

	Assets []session.AssetStanding `json:"assets,omitempty"`

	// Answer, alone, tells what somebody said to a request at the agent itself.
	Answer *Answer `json:"answer,omitempty"`

	// Passkey, alone, tells of one that was registered on the agent's own page, or revoked.
	Passkey *Passkey `json:"passkey,omitempty"`
}

// Passkey is one of those that people registered on the agent's own page. The agent tells
// each, as it was registered and as it was revoked, until the broker has it.
type Passkey struct {
	Name  string           `json:"name"` // K-...
	Owner session.Identity `json:"owner"`
	Host  string           `json:"host"` // of the page that it is bound to
	Since time.Time        `json:"since"`
	Until time.Time        `json:"until,omitzero"` // it was revoked then
}

// Answer is what somebody of the hospital said to a request on the agent's own page. The
// agent has checked it and holds it; it tells the broker until the broker has it.
type Answer struct {
	Request  string         `json:"request"` // R-...
	By       session.Person `json:"by"`
	At       time.Time      `json:"at"`
	Reason   string         `json:"reason,omitempty"` // of a denial
	Grant    []byte         `json:"grant,omitempty"`  // exact bytes that were approved; none: a denial
	Token    string         `json:"token,omitempty"`  // that approves them
	Salt     []byte         `json:"salt,omitempty"`
	Passkey  []byte         `json:"passkey,omitempty"` // what one said that approves them (grant.Assertion), beside the token or without
	Groups   []string       `json:"groups,omitempty"`  // of them, those that the scanner wants approvers of
	Count    int            `json:"count,omitempty"`   // distinct approvers, this one included
	Needed   int            `json:"needed,omitempty"`
	Admitted bool           `json:"admitted,omitempty"` // it completed the quorum
}

// Critical is a critical section that is on: the scanner's state raises an alarm in place of
// a freeze.
type Critical struct {
	Began time.Time `json:"began"`
	Until time.Time `json:"until"`
	Why   string    `json:"why"` // the engineer's words
	Alarm bool      `json:"alarm,omitempty"`
}

// Consent is what the operator at the scanner was asked last before the session opens, and
// what came of it.
type Consent struct {
	Kind    session.Consent   `json:"kind"`
	Service string            `json:"service"`
	Since   time.Time         `json:"since"`
	Until   time.Time         `json:"until"`
	Wrong   int               `json:"wrong,omitempty"` // codes that were typed for this session, ever
	Outcome session.Outcome   `json:"outcome,omitempty"`
	Answer  session.Consented `json:"answer,omitzero"` // by whom, where somebody answered, how and when
}

// NoDevice says why the agent got no connection to a device, could not log in there, or why
// the device ended it.
type NoDevice struct {
	Service string    `json:"service"`
	At      time.Time `json:"at"`
	Message string    `json:"message"` // plain words
	Next    string    `json:"next"`
}

// RecordingReport lists one recording of a session, so that it shows before its
// first segment has been uploaded.
type RecordingReport struct {
	Recording string           `json:"recording"` // V-...
	Service   string           `json:"service"`
	Protocol  session.Protocol `json:"protocol"`
	Started   time.Time        `json:"started"`
	Stuck     *Stuck           `json:"stuck,omitempty"` // nil says nothing: that a part arrives ends it
}

// Stuck says that parts of a recording are refused again and again.
type Stuck struct {
	Part    string    `json:"part"`  // the first
	Parts   int       `json:"parts"` // how many
	Since   time.Time `json:"since"`
	Message string    `json:"message"` // plain words
	Next    string    `json:"next"`
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
	SHA256    string `json:"sha256,omitempty"` // none where the part itself holds a signed hash
}

// HeadPart is the name under which a signed head of a recording is put. It is not
// stored as a part: the ack carries the broker's countersignature.
const HeadPart = "head"
