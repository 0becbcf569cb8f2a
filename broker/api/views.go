// Package api is the broker's HTTP door: it turns requests over the wire into
// calls of access, identity and fleet, and errors into one plain sentence. It
// decides nothing itself except who may call what, how often and from where.
//
// A caller shows a bearer token or, in a browser, a cookie, never both. What lasts is
// here, too (Live): streams of events, and browsers attached to a service, whose bytes
// pass unread. Pages come from a handler that it is given and does not know.
package api

import (
	"encoding/json"
	"time"

	"github.com/sallyport/sallyport/session"
)

// The views below are the JSON that people's scripts read. Lists are bare arrays,
// newest first; times are RFC 3339 UTC or null.

// Request is an access request as its people see it.
type Request struct {
	ID         string            `json:"id"`
	Status     session.Status    `json:"status"`
	Asset      string            `json:"asset"`
	Services   []string          `json:"services"`
	Grant      *string           `json:"grant"` // S-..., once granted
	NotBefore  time.Time         `json:"not_before"`
	NotAfter   time.Time         `json:"not_after"`
	MaxSeconds int64             `json:"max_seconds"`
	Approvals  int               `json:"approvals"`
	Needed     int               `json:"needed"`
	Site       string            `json:"site"`
	Class      session.Class     `json:"class"`
	Channels   []session.Channel `json:"channels"`
	Engineer   session.Person    `json:"engineer"`
	Reason     string            `json:"reason"`
	WorkOrder  string            `json:"work_order"`
	Created    time.Time         `json:"created"`
	DeniedBy   string            `json:"denied_by,omitempty"`
	DenyReason string            `json:"deny_reason,omitempty"`
	Kind       string            `json:"kind"`                    // session or extension
	Extends    string            `json:"extends,omitempty"`       // S-... that an extension makes longer
	Missing    []string          `json:"missing"`                 // groups that still have to approve, one entry a place
	Proposal   *Proposal         `json:"proposal,omitempty"`      // another window, by an approver
	RevokedBy  string            `json:"revoked_by,omitempty"`    // who took the approval back
	RevokeWhy  string            `json:"revoke_reason,omitempty"` // and why

	EngineerClass session.ClientClass `json:"engineer_class"` // of the program in which they asked; empty where it is not known
	Approved      []Approved          `json:"approved"`
}

// Proposal is another window for a request, by an approver.
type Proposal struct {
	From   time.Time `json:"from"`
	Until  time.Time `json:"until"`
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// Documents are the exact bytes and proofs of a request, for an approver's console.
type Documents struct {
	Request   []byte     `json:"request"`
	Token     string     `json:"token"`
	Salt      []byte     `json:"salt"`
	Received  time.Time  `json:"received"` // when the agent took it, as the broker says
	Grant     []byte     `json:"grant,omitempty"`
	Approvals []Approval `json:"approvals"`
}

// Approval is one approver's proof.
type Approval struct {
	Token    string    `json:"token"`
	Salt     []byte    `json:"salt"`
	Received time.Time `json:"received"`
}

// Session is a session as its people see it.
type Session struct {
	ID         string             `json:"id"`
	State      session.State      `json:"state"`
	Reason     *session.EndReason `json:"reason"`
	Asset      string             `json:"asset"`
	Service    string             `json:"service"`
	Protocol   session.Protocol   `json:"protocol"` // empty where it is not known
	Engineer   string             `json:"engineer"` // e-mail, or the subject where there is none
	Opened     time.Time          `json:"opened" nullable:"true"`
	Deadline   time.Time          `json:"deadline" nullable:"true"`
	Ended      *time.Time         `json:"ended"`
	Recordings []string           `json:"recordings"`
	Request    string             `json:"request"`
	Frozen     []string           `json:"frozen"` // causes; none while it runs
	Site       string             `json:"site"`
	WorkOrder  string             `json:"work_order"`
	Keys       int                `json:"keys"` // that may open connections; 0 when the agent did not say
}

// MarshalJSON writes a time that did not happen as null: a grant that was ended before
// anybody opened it has neither beginning nor deadline.
func (s Session) MarshalJSON() ([]byte, error) {
	type plain Session
	return json.Marshal(struct {
		plain
		Opened   *time.Time `json:"opened"`
		Deadline *time.Time `json:"deadline"`
	}{plain(s), orNull(s.Opened), orNull(s.Deadline)})
}

// Recording is a recording in the vault or on its way there.
type Recording struct {
	ID       string           `json:"id"`
	Session  string           `json:"session"`
	State    string           `json:"state"` // live, sealed, torn
	Asset    string           `json:"asset"`
	Service  string           `json:"service"`
	Protocol session.Protocol `json:"protocol"` // empty where it is not known
	Engineer string           `json:"engineer"`
	Started  time.Time        `json:"started"`
	Ended    *time.Time       `json:"ended"`
	Bytes    int64            `json:"bytes"` // stored so far

	Request   string   `json:"request"`
	Reason    string   `json:"reason"` // why the session ended; empty while it lives or where that is not known
	Site      string   `json:"site"`
	WorkOrder string   `json:"work_order"`
	Readable  bool     `json:"readable"` // the broker may show it
	Digest    *Digest  `json:"digest"`   // null until it is sealed, or where the broker may not read it
	Verdict   *Verdict `json:"verdict"`  // null: not checked yet
	Stuck     *Stuck   `json:"stuck"`    // null while all that came could be stored
	Reviews   []Review `json:"reviews"`
}

// Asset is a scanner as the catalogue shows it.
type Asset struct {
	Name     string            `json:"name"`
	Site     string            `json:"site"`
	Label    string            `json:"label"`
	Modality string            `json:"modality"`
	Online   bool              `json:"online"` // its agent is connected
	Needed   int               `json:"needed"` // approvals
	Longest  int64             `json:"longest_seconds"`
	Channels []session.Channel `json:"channels"`
	Accept   session.Accept    `json:"accept"`
	Services []session.Service `json:"services"`
	Window   int64             `json:"window_seconds"` // widest not-before to not-after
	Zone     string            `json:"zone"`           // the site's time zone, as in Europe/Berlin
	Quorum   []session.Quorum  `json:"quorum"`         // who the approvers must be; none: anyone who may approve

	Agent   string   `json:"agent"`           // fingerprint of its agent's identity key, which a grant names
	Typical int64    `json:"typical_seconds"` // median time to a decision here; 0: not known
	Decided int      `json:"decided"`         // decisions behind it
	Live    []string `json:"live"`            // sessions that are on it now, of those that the caller may know
}

// Engineer is an engineer as a site's approvers know them.
type Engineer struct {
	session.Person
	Site     string     `json:"site"`
	Disabled bool       `json:"disabled"`
	By       string     `json:"by,omitempty"` // who disabled or enabled them last
	At       *time.Time `json:"at"`
	Reason   string     `json:"reason,omitempty"`
	Waiting  []string   `json:"waiting"` // agents that have still to hear of it
	Asked    *time.Time `json:"asked"`   // their latest request
}

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

// SSHDoor is where the jump host is and which key it shows.
type SSHDoor struct {
	Address string `json:"address"`  // host:port
	HostKey string `json:"host_key"` // key line
}

// Access answers "may I connect now, and if not, what is missing?".
type Access struct {
	Site    string       `json:"site"` // with asset and service: what was asked about, by its full name
	Asset   string       `json:"asset"`
	Service string       `json:"service"`
	Ready   bool         `json:"ready"`
	Pending bool         `json:"pending"` // waiting for the hospital
	Kind    session.Kind `json:"kind,omitempty"`
	Message string       `json:"message,omitempty"` // one sentence
	Next    string       `json:"next,omitempty"`
	Request string       `json:"request,omitempty"`
	Session string       `json:"session,omitempty"`
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

// AuditEvents is a stretch of the audit log. Entries are exact bytes, for hashing.
type AuditEvents struct {
	Size   int64        `json:"size"` // entries of the whole log
	Next   int64        `json:"next"` // where to go on
	Events []AuditEvent `json:"events"`
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

// Viewing says that somebody is about to look at a recording, and why.
type Viewing struct {
	Input  bool   `json:"input"` // also at what was typed
	Reason string `json:"reason" maxLength:"500"`
}
