package attach

import (
	"encoding/json"
	"time"

	"github.com/sallyport/sallyport/session"
)

// Version is what Challenge.V and Proof.V say.
const Version = 1

// Protocol is the WebSocket subprotocol in which a broker carries these frames.
const Protocol = "sallyport-attach-1"

// Role is what somebody attaches for.
type Role string

// The roles.
const (
	RoleOperate Role = "operate" // to work
	RoleWatch   Role = "watch"   // to see who works

	// RoleCritical is for one question about a critical section: the opening is a Critical,
	// which is signed, too, and the answer a notice "said" or a refusal.
	RoleCritical Role = "critical"
)

// Challenge is the agent's first frame.
type Challenge struct {
	V        int              `json:"v"`
	Nonce    string           `json:"nonce"`    // base64url, 32 bytes
	Agent    string           `json:"agent"`    // fingerprint of the agent's identity key
	Stream   string           `json:"stream"`   // base64url, 16 bytes: names this connection
	Protocol session.Protocol `json:"protocol"` // that the service speaks
	Site     string           `json:"site"`
	Asset    string           `json:"asset"`
	Service  string           `json:"service"`
}

// Of is the service that the challenge is for.
func (c Challenge) Of() session.Target {
	return session.Target{Site: c.Site, Asset: c.Asset, Service: c.Service}
}

// Proof is the browser's first frame.
type Proof struct {
	V         int              `json:"v"`
	Protocol  session.Protocol `json:"protocol"` // as challenged
	Role      Role             `json:"role"`
	Session   string           `json:"session"`   // S-...
	Key       string           `json:"key"`       // key line
	Signature string           `json:"signature"` // base64url, 64 bytes
	// Opening is how the protocol begins, as its room reads it: a Terminal for ssh.
	Opening json.RawMessage `json:"opening"`
}

// Welcome says where the engineer is now.
type Welcome struct {
	Session   string            `json:"session"`
	Request   string            `json:"request"`
	Site      string            `json:"site"`
	Asset     string            `json:"asset"`
	Service   string            `json:"service"`
	Deadline  time.Time         `json:"deadline"`
	Opened    time.Time         `json:"opened"`
	Now       time.Time         `json:"now"`       // by the agent's clock
	Channels  []session.Channel `json:"channels"`  // that the grant includes, sorted
	Frozen    []string          `json:"frozen"`    // causes; empty while it is not
	Recording string            `json:"recording"` // V-...
	Resumed   bool              `json:"resumed"`   // the terminal was there before
	Running   bool              `json:"running"`   // a shell runs, or is about to
}

// Refused says why not, as a person reads it.
type Refused struct {
	Kind    session.Kind `json:"kind"`
	Message string       `json:"message"`
	Next    string       `json:"next"`
}

// NoticeType says what happened.
type NoticeType string

// The notices, and the fields that come with each.
const (
	NoticeDeadline NoticeType = "deadline" // Deadline, Text: the session ends at another time
	NoticeWarning  NoticeType = "warning"  // LeftSeconds, Text: it ends soon
	NoticeFrozen   NoticeType = "frozen"   // Causes, Text: nothing goes to the device
	NoticeThawed   NoticeType = "thawed"   // Causes that remain, Text
	NoticeExit     NoticeType = "exit"     // Status, or Text alone: the shell is over
	NoticeTaken    NoticeType = "taken"    // Text: somebody attached elsewhere; then the end
	NoticeEnded    NoticeType = "ended"    // Reason, Text: it is over; then the end
	NoticeSaid     NoticeType = "said"     // Text: a word of ours
	NoticeCode     NoticeType = "code"     // Text: what an A before the welcome answers: the code that the operator reads out
	NoticeMasked   NoticeType = "masked"   // Masked: what the hospital hides of the console, from now on
	NoticeWatchers NoticeType = "watchers" // People: everybody who watches now, by name; Text: who came or went
	NoticeUnseen   NoticeType = "unseen"   // Text: the leave to watch is over; then the end
	NoticeShells   NoticeType = "shells"   // Shells that have a screen, and Shown of them; Text where there is none
)

// Masked is how much of a console the hospital hides.
type Masked string

// How much that is.
const (
	MaskedNothing Masked = "nothing"
	MaskedSome    Masked = "some"
	MaskedAll     Masked = "all" // its size is one for which there is no rule
)

// Notice is something that changed.
type Notice struct {
	Type        NoticeType        `json:"type"`
	Deadline    *time.Time        `json:"deadline,omitempty"`
	LeftSeconds int               `json:"left_seconds,omitempty"`
	Causes      []string          `json:"causes,omitempty"`
	Status      *uint32           `json:"status,omitempty"` // 255 where a signal ended it
	Reason      session.EndReason `json:"reason,omitempty"`
	Masked      Masked            `json:"masked,omitempty"`
	People      []string          `json:"people,omitempty"`
	Shells      []uint32          `json:"shells,omitempty"` // oldest first
	Shown       uint32            `json:"shown,omitempty"`
	Text        string            `json:"text,omitempty"`
}

// check refuses a proof that cannot be meant.
func (p Proof) check() error {
	switch {
	case p.V != Version:
		return bad("a proof of another version")
	case p.Role != RoleOperate && p.Role != RoleWatch && p.Role != RoleCritical:
		return bad("a proof for an unknown role")
	case len(p.Opening) > maxOpening || len(p.Opening) == 0 || p.Opening[0] != '{':
		return bad("an opening that is none")
	}
	return nil
}

func bad(what string) error {
	return session.Errorf(session.Invalid, "The agent refused %s.", what).
		WithNext("Reload the page. If that does not help, browser and agent run versions of Sallyport that do not match.")
}
