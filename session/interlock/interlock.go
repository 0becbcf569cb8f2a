// Package interlock says what a session may do to a scanner in each state of it. It is one
// table and knows nothing else: what state a scanner is in is package agent/modality's to
// say, and who is stopped is the engine's.
//
//	state               observe     non-disruptive  disruptive
//	in-service          works       works           works
//	idle                works       works           looks on
//	down                works       works           looks on
//	unknown             looks on    looks on        looks on
//	patient-on-table    looks on    looks on        looks on
//	scanning            looks on    looks on        looks on
//
// Who works has all channels of the grant. Who looks on keeps what is shown, and may open
// a console to look at it; nothing of theirs reaches the device by any channel. Beside a
// running scan nothing is carried out of the device either, not even a copied text.
//
// In-service is what an operator declares: nobody is on the table, and nobody will be. Down
// is not: a scanner can break down with a patient in it, so it permits what an idle one
// does, and disruptive work waits until somebody has looked and declares in-service.
package interlock

import (
	"slices"

	"github.com/sallyport/sallyport/session"
)

// Permit is what a channel may do, from the most to the least.
type Permit string

// The permits.
const (
	Allowed  Permit = "allowed"
	ViewOnly Permit = "view-only" // what the device shows passes; nothing goes there
	Frozen   Permit = "frozen"    // and nothing opens
)

// Rules are the states in which each class works, where a hospital wants fewer than the
// table has. A class that is not named has the table's.
type Rules map[session.Class][]session.ModalityState

// Works lists the states in which a class works, by the table.
func Works(class session.Class) []session.ModalityState {
	switch class {
	case session.Observe, session.NonDisruptive:
		return []session.ModalityState{session.InService, session.Down, session.ModalityIdle}
	case session.Disruptive:
		return []session.ModalityState{session.InService}
	}
	return nil
}

// Works lists the states in which a class works by these rules and by the table.
func (r Rules) Works(class session.Class) []session.ModalityState {
	all := Works(class)
	named, ok := r[class]
	if !ok {
		return all
	}
	return slices.DeleteFunc(all, func(s session.ModalityState) bool { return !slices.Contains(named, s) })
}

// Check refuses rules that are wider than the table, or name what is not there.
func (r Rules) Check() error {
	for class, states := range r {
		if !class.Known() {
			return session.Errorf(session.Invalid, "%.32q is no class", class).WithNext("The classes are observe, non-disruptive and disruptive.")
		}
		for _, s := range states {
			if !slices.Contains(Works(class), s) {
				return session.Errorf(session.Invalid, "%s never works while a scanner is %.32q: rules here may only be tighter", class, s)
			}
		}
	}
	return nil
}

// Permit is what a channel of a session may do. What is not known is frozen.
func (r Rules) Permit(class session.Class, state session.ModalityState, channel session.Channel) Permit {
	switch {
	case !class.Known() || !channel.Known():
		return Frozen
	case slices.Contains(r.Works(class), state):
		return Allowed
	case channel == session.Control:
		return ViewOnly
	case channel == session.ClipboardOut && state != session.Scanning:
		return ViewOnly
	}
	return Frozen
}
