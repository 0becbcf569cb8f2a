package attach

import (
	"time"

	"github.com/sallyport/sallyport/session"
)

// Version is what Challenge.V and Proof.V say.
const Version = 1

// Protocol is the WebSocket subprotocol in which a broker carries these frames.
const Protocol = "sallyport-attach-1"

// RoleOperate is the one role there is: who attaches works.
const RoleOperate = "operate"

// Bounds of a terminal. Its screen is kept by the agent, so it cannot be any size.
const (
	MaxCols  = 1000
	MaxRows  = 500
	MaxCells = 120_000
	maxTerm  = 64 // bytes of a terminal type
)

// Challenge is the agent's first frame.
type Challenge struct {
	V       int    `json:"v"`
	Nonce   string `json:"nonce"`  // base64url, 32 bytes
	Agent   string `json:"agent"`  // fingerprint of the agent's identity key
	Stream  string `json:"stream"` // base64url, 16 bytes: names this connection
	Asset   string `json:"asset"`
	Service string `json:"service"`
}

// Proof is the browser's first frame.
type Proof struct {
	V         int    `json:"v"`
	Role      string `json:"role"`
	Session   string `json:"session"`   // S-...
	Key       string `json:"key"`       // key line
	Signature string `json:"signature"` // base64url, 64 bytes
	Cols      int    `json:"cols"`
	Rows      int    `json:"rows"`
	Term      string `json:"term"`
	Shell     bool   `json:"shell"` // start one, where none is running
}

// Welcome says where the engineer is now.
type Welcome struct {
	Session   string            `json:"session"`
	Request   string            `json:"request"`
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
)

// Notice is something that changed.
type Notice struct {
	Type        NoticeType        `json:"type"`
	Deadline    *time.Time        `json:"deadline,omitempty"`
	LeftSeconds int               `json:"left_seconds,omitempty"`
	Causes      []string          `json:"causes,omitempty"`
	Status      *uint32           `json:"status,omitempty"` // 255 where a signal ended it
	Reason      session.EndReason `json:"reason,omitempty"`
	Text        string            `json:"text,omitempty"`
}

// check refuses a proof that cannot be meant.
func (p Proof) check() error {
	switch {
	case p.V != Version:
		return bad("a proof of another version")
	case p.Role != RoleOperate:
		return bad("a proof for an unknown role")
	case p.Term == "" || len(p.Term) > maxTerm || !printable(p.Term):
		return bad("a terminal type that is none")
	}
	return CheckSize(p.Cols, p.Rows)
}

// CheckSize refuses a terminal's size that is out of bounds.
func CheckSize(cols, rows int) error {
	if cols < 1 || rows < 1 || cols > MaxCols || rows > MaxRows || cols*rows > MaxCells {
		return bad("a terminal's size that is out of bounds")
	}
	return nil
}

// printable reports whether s is ASCII without spaces and control characters.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

func bad(what string) error {
	return session.Errorf(session.Invalid, "The agent refused %s.", what).
		WithNext("Reload the page. If that does not help, browser and agent run versions of Sallyport that do not match.")
}
