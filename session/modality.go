package session

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
