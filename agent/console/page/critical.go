package page

import (
	"fmt"
	"time"
)

// Critical is a critical section of a session: what its engineer does must not be cut off.
type Critical struct {
	Why   string // their words
	Until time.Time
	Alarm bool // the scanner's state would freeze the session, and does not
}

// Critical is the session that has a critical section on; nil: none has.
func (a Asset) Critical() *Session {
	for i, s := range a.On {
		if s.Critical != nil {
			return &a.On[i]
		}
	}
	return nil
}

// Alarm is what who cannot see the alarm hears of it, once; empty where there is none.
func (a Asset) Alarm() string {
	s := a.Critical()
	if s == nil || !s.Critical.Alarm || a.State == nil {
		return ""
	}
	return fmt.Sprintf("Alarm at %s: the scanner is %s while a critical section is on. Until %s the session is not frozen for the patient. Freeze and STOP work at once.",
		a.Name, a.State.Is.Words(), s.Critical.Until.Format("15:04"))
}

// Sections are the scanners with a critical section on.
func (b Board) Sections() (all []Asset) {
	for _, a := range b.Assets {
		if a.Critical() != nil {
			all = append(all, a)
		}
	}
	return all
}
