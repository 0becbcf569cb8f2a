// Package grant holds the two documents that open a door - the engineer's request
// and the hospital's grant - as exact bytes, the nonces that bind ID tokens to
// them, and the one verifier that agent, console and evidence checker share.
// It knows no network and no file; keys come in through idtoken.KeySet.
package grant

import (
	"time"

	"github.com/sallyport/sallyport/session"
)

// Request is the engineer's document. Field order is the wire's.
type Request struct {
	V        int               `json:"v"`
	Typ      string            `json:"typ"`
	RID      string            `json:"rid"`
	Kind     string            `json:"kind"`
	Parent   string            `json:"parent"`
	Site     string            `json:"site"`
	Asset    string            `json:"asset"`
	Services []string          `json:"services"`
	Class    session.Class     `json:"class"`
	Channels []session.Channel `json:"channels"`
	NBF      int64             `json:"nbf"`
	EXP      int64             `json:"exp"`
	MaxS     int64             `json:"maxs"`
	Crit     int64             `json:"crit,omitempty"` // see Terms
	Eng      session.Identity  `json:"eng"`
	Key      string            `json:"key"`
	Reason   string            `json:"reason"`
	Ref      string            `json:"ref"`
}

// Grant is the hospital's document. Field order is the wire's.
type Grant struct {
	V        int               `json:"v"`
	Typ      string            `json:"typ"`
	GID      string            `json:"gid"`
	Req      string            `json:"req"`
	Site     string            `json:"site"`
	Agent    string            `json:"agent"`
	Asset    string            `json:"asset"`
	Services []string          `json:"services"`
	Class    session.Class     `json:"class"`
	Channels []session.Channel `json:"channels"`
	NBF      int64             `json:"nbf"`
	EXP      int64             `json:"exp"`
	MaxS     int64             `json:"maxs"`
	Crit     int64             `json:"crit,omitempty"` // see Terms
	Obl      []string          `json:"obl"`
}

// Proof is an ID token with its salt, as they travel.
type Proof struct {
	Token string `json:"token"`
	Salt  []byte `json:"salt"` // 32 bytes
}

// Receipt is a proof that was checked as it was minted: what it said, which key
// verified it and when it came in. Later checks use the receipt, never the token again.
// An approval may stand on a passkey of the agent's page beside the token, or on that alone.
type Receipt struct {
	Role     Role                `json:"role"`
	Proof    Proof               `json:"proof"`
	Received time.Time           `json:"received"`
	Person   session.Person      `json:"person"`
	Client   session.ClientClass `json:"client"`
	Groups   []string            `json:"groups,omitempty"` // what the token said, for quorums
	IssuedAt time.Time           `json:"issued_at"`
	AuthTime time.Time           `json:"auth_time"`
	KeyID    string              `json:"kid"`
	Key      []byte              `json:"jwk"`
	Subject  [32]byte            `json:"subject"` // qh or gh that the nonce covers
	Passkey  *Assertion          `json:"passkey,omitempty"`
}

// SignedIn is when the person proved who they are, as near as the token says: Entra ID
// dates iat back by five minutes, and auth_time is as old as the login.
func (r Receipt) SignedIn() time.Time {
	if r.AuthTime.After(r.IssuedAt) {
		return r.AuthTime
	}
	return r.IssuedAt
}

// Role separates the uses of a nonce.
type Role string

const (
	RoleRequest  Role = "request"
	RoleApprove  Role = "approve"
	RoleActivate Role = "activate"
	RoleLogin    Role = "login"
	RoleWatch    Role = "watch"
)
