package console

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/session"
)

// Consents are the sessions that wait for the operator's consent, and the operator's answer.
// Its errors are *session.Error.
type Consents interface {
	Asked() []Asking
	// Answer returns when the engineer is let on, or is told that they are not.
	Answer(a Answer, how session.Means) (Answered, error)
}

// Asking is a session that waits for the operator's consent. Reason, work order and what
// they may do are read from the documents that were signed.
type Asking struct {
	Session   string          `json:"session"` // S-...
	Request   string          `json:"request"` // R-...
	Asset     string          `json:"asset"`
	Service   string          `json:"service"`
	Engineer  session.Person  `json:"engineer"`
	Reason    string          `json:"reason"`
	WorkOrder string          `json:"workOrder,omitempty"`
	Work      string          `json:"work"`           // what they may do, in words
	Longest   string          `json:"longest"`        // for how long, "30 min"
	Kind      session.Consent `json:"kind"`           // "operator" or "code"
	Code      string          `json:"code,omitempty"` // to read out
	Since     time.Time       `json:"since"`
	Until     time.Time       `json:"until"`
}

// Answer is the operator's.
type Answer struct {
	Session string `json:"session"`
	Accept  bool   `json:"accept"`
}

// Answered is what became of it.
type Answered struct {
	Session string `json:"session"`
	Accept  bool   `json:"accept"`
}

// parseAnswer reads an answer strictly.
func parseAnswer(body []byte) (Answer, error) {
	var a Answer
	err := flat(body, "session", "accept")
	if err == nil {
		err = json.Unmarshal(body, &a)
	}
	if err != nil {
		return Answer{}, session.Errorf(session.Invalid, "The request is not one plain JSON object.").
			WithNext(`Send {"session": "S-...", "accept": true}.`)
	}
	_, err = session.ParseSessionID(a.Session)
	return a, err
}

// Asked lists the sessions that wait for the operator's consent.
func (c Client) Asked(ctx context.Context) ([]Asking, error) {
	return call[[]Asking](ctx, c, http.MethodGet, "/consent", nil)
}

// Answer gives the operator's answer.
func (c Client) Answer(ctx context.Context, a Answer) (Answered, error) {
	return call[Answered](ctx, c, http.MethodPost, "/consent", a)
}
