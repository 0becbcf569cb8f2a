package session

import (
	"cmp"
	"net/url"
)

// Identity is who somebody is: an issuer and its name for the person. E-mail and
// display names are never identity.
type Identity struct {
	Iss string `json:"iss"`
	Sub string `json:"sub"`
}

// Person is an identity with what its issuer says about it, for display only.
type Person struct {
	Identity
	Email string `json:"email"`
	Name  string `json:"name"`
}

// Shown is one name for somebody: the address that their issuer may give, or else the
// issuer's own name for them, never without the issuer.
func (p Person) Shown() string {
	if p.Email != "" || p.Sub == "" {
		return p.Email
	}
	return p.Sub + " at " + cmp.Or(p.Host(), p.Iss)
}

// Host is where somebody signed in; empty where the issuer is no address.
func (i Identity) Host() string {
	u, err := url.Parse(i.Iss)
	if err != nil {
		return ""
	}
	return u.Host
}

// Role is what a person's groups allow them to do.
type Role string

const (
	Engineer Role = "engineer" // vendor: asks for access and works
	Approver Role = "approver" // hospital: decides, watches, ends
	Auditor  Role = "auditor"  // hospital: replays and verifies
)

// The groups that carry the roles, as identity providers send them.
const (
	GroupEngineers = "field-service"
	GroupApprovers = "scanner-approvers"
	GroupAuditors  = "auditors"
)
