package session

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// ModalityState is what a scanner is doing for its patients, as far as its hospital can tell.
type ModalityState string

// The states of a modality. Unknown is what nobody can tell, and counts as a patient on the table.
const (
	ModalityIdle    ModalityState = "idle"
	PatientOnTable  ModalityState = "patient-on-table"
	Scanning        ModalityState = "scanning"
	InService       ModalityState = "in-service" // declared by the operator
	Down            ModalityState = "down"
	ModalityUnknown ModalityState = "unknown"
)

// ModalityStates are all of them, from the one that allows a session most to the one that allows least.
func ModalityStates() []ModalityState {
	return []ModalityState{InService, Down, ModalityIdle, ModalityUnknown, PatientOnTable, Scanning}
}

// Words are the state as a person reads it, after "the scanner is".
func (s ModalityState) Words() string {
	switch s {
	case PatientOnTable:
		return "with a patient on the table"
	case InService:
		return "in service"
	case ModalityIdle, Scanning, Down:
		return string(s)
	}
	return "in a state that nobody knows, which counts as a patient on the table"
}

// Standing is how a scanner stands, as its agent tells everybody. The broker shows it; the
// agent alone goes by what it knows itself.
type Standing struct {
	State  ModalityState `json:"state"`
	Source string        `json:"source"`           // whose word that is: "operator"
	Detail string        `json:"detail,omitempty"` // what the source adds
	Shut   string        `json:"shut,omitempty"`   // why nothing opens, not even to look on
	At     time.Time     `json:"at,omitzero"`      // when it was said
	Until  time.Time     `json:"until,omitzero"`   // when it stops to hold, where that is known
	Since  time.Time     `json:"since,omitzero"`   // when the scanner came into the state

	// Works are the states in which each class works, where the hospital wants fewer than the
	// interlock's table has.
	Works map[Class][]ModalityState `json:"works,omitempty"`
}

// Proper reports whether a standing is one that an agent tells.
func (s Standing) Proper() bool {
	for class, states := range s.Works {
		if !class.Known() || len(states) > len(ModalityStates()) || slices.ContainsFunc(states, func(x ModalityState) bool { return !x.Known() }) {
			return false
		}
	}
	return s.State.Known() && ValidName(s.Source) && oneLine(s.Detail) && oneLine(s.Shut)
}

// Known reports whether a state is one.
func (s ModalityState) Known() bool { return slices.Contains(ModalityStates(), s) }

func oneLine(s string) bool {
	return len(s) <= MaxSaid && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// AssetStanding is how one scanner stands; no standing: it has no interlock.
type AssetStanding struct {
	Asset    string    `json:"asset"`
	Standing *Standing `json:"standing"`
}
