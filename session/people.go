package session

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
