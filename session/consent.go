package session

import "time"

// Consent is what the people at a scanner are asked before a session opens there.
type Consent string

const (
	ConsentNone     Consent = "none"     // nothing
	ConsentOperator Consent = "operator" // the operator accepts, at the agent
	ConsentCode     Consent = "code"     // the engineer types the code that the operator reads out, or the operator accepts
)

// Known reports whether c is one of the three.
func (c Consent) Known() bool { return c == ConsentNone || c.Asked() }

// Asked reports whether anybody is asked.
func (c Consent) Asked() bool { return c == ConsentOperator || c == ConsentCode }

// Consented is who at the scanner let a session open, and how.
type Consented struct {
	By  string    `json:"by,omitempty"`
	How Means     `json:"how,omitempty"`
	At  time.Time `json:"at,omitzero"`
}

// Means is how an operator answered.
type Means string

const (
	ByPage    Means = "page"    // of the agent
	ByCommand Means = "command" // sallyport-agent consent
	ByCode    Means = "code"    // read out to the engineer, who typed it
)

// Known reports whether m is one of the three.
func (m Means) Known() bool { return m == ByPage || m == ByCommand || m == ByCode }

// Tries are what an engineer has had of an operator for one grant, ever.
type Tries struct {
	Asked int `json:"asked,omitempty"` // how often the operator was asked
	Wrong int `json:"wrong,omitempty"` // codes that were typed
}

// Outcome is what came of asking an operator.
type Outcome string

const (
	Asking       Outcome = "" // they have not answered
	ConsentGiven Outcome = "given"
	ConsentNot   Outcome = "refused"
	ConsentLate  Outcome = "timed-out"
	ConsentWrong Outcome = "wrong-codes"
	ConsentGone  Outcome = "gone" // the engineer went, or the session was over
)

// Known reports whether o is one of these.
func (o Outcome) Known() bool {
	switch o {
	case Asking, ConsentGiven, ConsentNot, ConsentLate, ConsentWrong, ConsentGone:
		return true
	}
	return false
}

// IsZero reports whether nobody consented.
func (c Consented) IsZero() bool { return c.At.IsZero() }

// Words are the consent as a recording and a page have it.
func (c Consented) Words() string {
	switch c.How {
	case ByCode:
		return "The engineer typed the code that the operator at the scanner read out."
	case ByCommand:
		return "The operator at the scanner let the session open, by command at the agent."
	}
	return "The operator at the scanner let the session open, on the agent's page."
}
