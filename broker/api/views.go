// Package api is the broker's HTTP door: it turns requests over the wire into
// calls of access, identity and fleet, and errors into one plain sentence. It
// decides nothing itself except who may call what, how often and from where.
//
// A caller shows a bearer token or, in a browser, a cookie, never both. What lasts is
// here, too (Live): streams of events, and browsers attached to a service, whose bytes
// pass unread. Pages come from a handler that it is given and does not know.
package api

import (
	"time"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/session"
)

// What access answers is written as it is.
type (
	Request        = access.Request
	Documents      = access.Documents
	Approval       = access.Approval
	Session        = access.Session
	SessionConsent = access.Consent
	Recording      = access.Recording
	Verdict        = access.Verdict
	Asset          = access.Asset
	Engineer       = access.Engineer
	Access         = access.Answer
	Context        = access.Context
	Proposal       = access.Proposal
	Review         = access.Review
	Denied         = access.Denied
)

// The JSON that people's scripts read, as package access says.

// Login is what a signed-in CLI gets.
type Login struct {
	Token   string         `json:"token"` // bearer, keep secret
	Expires time.Time      `json:"expires"`
	Person  session.Person `json:"person"`
	Roles   []session.Role `json:"roles"`
	Side    session.Side   `json:"side"`
	Sites   []string       `json:"sites"` // may hold "*" for a vendor
	SSH     SSHDoor        `json:"ssh"`
}

// SSHDoor is where the jump host is and which keys it shows.
type SSHDoor struct {
	Address   string `json:"address"`     // host:port
	HostKey   string `json:"host_key"`    // key line
	HostKeyEC string `json:"host_key_ec"` // the same, for clients without Ed25519
}

// Problem is an error on the wire: application/problem+json of RFC 9457.
type Problem struct {
	Status  int          `json:"status"`
	Title   string       `json:"title"`
	Detail  string       `json:"detail"`
	Kind    session.Kind `json:"kind"`
	Message string       `json:"message"`
	Next    string       `json:"next"`
}

// Info is what anybody may know of the broker.
type Info struct {
	Version string  `json:"version"`
	Node    string  `json:"node"`
	SSH     SSHDoor `json:"ssh"`
}

// SignIn is what a command line sends to sign in. The signature is the session
// key's over "sallyport/v1/login-proof\0" and the SHA-256 of the ID token.
type SignIn struct {
	IDToken   string `json:"id_token" maxLength:"16384"`
	Salt      []byte `json:"salt"`
	Key       string `json:"key" maxLength:"512"` // ssh-ed25519 key line
	Signature []byte `json:"signature"`
}

// Submission is a request's exact bytes with the engineer's proof.
type Submission struct {
	Request []byte `json:"request"`
	Token   string `json:"token" maxLength:"16384"`
	Salt    []byte `json:"salt"`
}

// Decision is a grant's exact bytes with an approver's proof.
type Decision struct {
	Grant []byte `json:"grant"`
	Token string `json:"token" maxLength:"16384"`
	Salt  []byte `json:"salt"`
}

// Decided is what the agent made of an approval.
type Decided struct {
	Request  Request `json:"request"`
	Admitted bool    `json:"admitted"` // the quorum is complete
}

// Activation is a key that joins an approved request, with the engineer's proof.
type Activation struct {
	Key   string `json:"key" maxLength:"512"` // key line
	Token string `json:"token" maxLength:"16384"`
	Salt  []byte `json:"salt"`
}

// Watching is until when a key may watch a session.
type Watching struct {
	Session string    `json:"session"`
	Until   time.Time `json:"until"`
}

// Counter is another window that an approver proposes.
type Counter struct {
	From   time.Time `json:"from"`
	Until  time.Time `json:"until"`
	Reason string    `json:"reason,omitempty" maxLength:"500"`
}

// Revocation says why an approval is taken back.
type Revocation struct {
	Reason string `json:"reason" maxLength:"500"`
}

// Standing names an engineer whose access to a site ends, or begins again.
type Standing struct {
	Site   string `json:"site" maxLength:"64"`
	Iss    string `json:"iss" maxLength:"500"`
	Sub    string `json:"sub" maxLength:"255"`
	Reason string `json:"reason" maxLength:"500"`
}

// AuditLogList are the audit logs of the broker's nodes, that of the one which answers first.
type AuditLogList struct {
	Logs []AuditLogState `json:"logs"`
}

// AuditLogState is one of them. Another node's log is read from its copy.
type AuditLogState struct {
	Origin  string `json:"origin"`
	Key     string `json:"key"` // key line
	Size    int64  `json:"size"`
	Problem string `json:"problem,omitempty"` // why it cannot be read
}

// AuditEvents is a stretch of an audit log. Entries are exact bytes, for hashing.
type AuditEvents struct {
	Size   int64        `json:"size"` // entries of the whole log
	From   int64        `json:"from"` // the first entry that was looked at
	Next   int64        `json:"next"` // where to go on: the first after it that was not
	Events []AuditEvent `json:"events"`
	Log    string       `json:"log"` // whose entries these are
	// LeftOut are the logs of the broker's other nodes, where none was named: nothing of
	// theirs is here.
	LeftOut []string `json:"left_out,omitempty"`
}

// AuditEvent is one entry.
type AuditEvent struct {
	Index int64  `json:"index"`
	Entry []byte `json:"entry"`
}

// AuditCheckpoint is a signed note, and the key that the broker says is its log's.
type AuditCheckpoint struct {
	Checkpoint []byte `json:"checkpoint"`
	Key        string `json:"key"` // key line
}

// AuditLeaves are 32 bytes for each entry from From on.
type AuditLeaves struct {
	From   int64  `json:"from"`
	Hashes []byte `json:"hashes"`
}

// AuditProof is a C2SP tlog-proof.
type AuditProof struct {
	Proof []byte `json:"proof"`
}

// Denial says why not.
type Denial struct {
	Reason string `json:"reason" maxLength:"500"`
}

// Denials says why not, to all that waits of one engineer or of one vendor.
type Denials struct {
	Site   string `json:"site" maxLength:"64"`
	Iss    string `json:"iss" maxLength:"500" doc:"the issuer of the engineer, or of the vendor's engineers"`
	Sub    string `json:"sub,omitempty" maxLength:"255" doc:"the engineer's subject; without it all of the vendor's"`
	Reason string `json:"reason" maxLength:"500"`
}

// Viewing says that somebody is about to look at a recording, and why.
type Viewing struct {
	Input  bool   `json:"input"` // also at what was typed
	Reason string `json:"reason" maxLength:"500"`
}
