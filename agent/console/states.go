package console

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/sallyport/sallyport/session"
)

// States are how the scanners stand, and the operator's switch. Its errors are
// *session.Error.
type States interface {
	States() []State
	// Set returns when everybody who is stopped by it was told.
	Set(s Switch) (State, error)
}

// State is how a scanner stands.
type State struct {
	Asset     string                `json:"asset"`
	Interlock string                `json:"interlock"`        // "on", or "none": nothing says how it stands, and nothing is stopped by it
	State     session.ModalityState `json:"state,omitempty"`  // with an interlock, as all that follows
	Source    string                `json:"source,omitempty"` // whose word it is
	Detail    string                `json:"detail,omitempty"` // and what that adds
	Shut      string                `json:"shut,omitempty"`   // why nothing opens, whatever the state permits: what the key switch says
	At        time.Time             `json:"at,omitzero"`      // when it was said last
	Until     time.Time             `json:"until,omitzero"`   // when it stops to hold
	Since     time.Time             `json:"since,omitzero"`   // when the scanner came into the state
}

// Switch is what an operator sets. For is a duration, "30m"; empty: the usual.
type Switch struct {
	Asset string                `json:"asset"`
	State session.ModalityState `json:"state"`
	For   string                `json:"for,omitempty"`
}

// Hold is for how long the switch holds; 0: the usual.
func (s Switch) Hold() (time.Duration, error) {
	if s.For == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s.For)
	if err != nil || d <= 0 {
		return 0, session.Errorf(session.Invalid, "%.32q is no time for which a switch can hold.", s.For).WithNext("It looks like 30m or 2h.")
	}
	return d, nil
}

// parseSwitch reads a switch strictly.
func parseSwitch(body []byte) (Switch, error) {
	var s Switch
	err := flat(body, "asset", "state", "for")
	if err == nil {
		err = json.Unmarshal(body, &s)
	}
	if err != nil || !session.ValidName(s.Asset) {
		return Switch{}, session.Errorf(session.Invalid, "The request is not one plain JSON object that names an asset.").
			WithNext(`Send {"asset": "NAME", "state": "idle", "for": "30m"}.`)
	}
	_, err = s.Hold()
	return s, err
}

// States asks how the scanners stand.
func (c Client) States(ctx context.Context) ([]State, error) {
	return call[[]State](ctx, c, http.MethodGet, "/state", nil)
}

// Set sets the operator's switch.
func (c Client) Set(ctx context.Context, s Switch) (State, error) {
	return call[State](ctx, c, http.MethodPost, "/state", s)
}
