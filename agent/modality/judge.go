package modality

import (
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/session"
)

// Kind is what a source is; an asset has each at most once, and by this name.
type Kind string

// The kinds of sources.
const (
	Operator  Kind = "operator"
	KeySwitch Kind = "key-switch"
	MPPS      Kind = "mpps"
	Probe     Kind = "probe"
	Timetable Kind = "schedule"
)

// device reports whether a source of this kind is a device, which only restricts.
func (k Kind) device() bool { return k == MPPS || k == Probe }

// Permits reports whether an asset with these sources can ever leave unknown: one of them
// must be able to permit something, and where devices speak, a person must: what a device
// ended somebody declares again.
func Permits(sources []Kind) bool {
	person := slices.Contains(sources, Operator)
	return person || !slices.ContainsFunc(sources, Kind.device) && len(sources) > 0
}

// loosest is the least restrictive state that a source of this kind can give.
func (k Kind) loosest() session.ModalityState {
	if k == Timetable {
		return session.ModalityIdle
	}
	return session.InService
}

// Reading is what a source said last.
type Reading struct {
	State  session.ModalityState
	Detail string    // for people, in the source's words
	At     time.Time // when it was said
	Began  time.Time // when it was said first, and nothing else since
	Until  time.Time // of the operator: until when it holds; zero: until something else is said
}

// Standing is the state of an asset and whose word that is.
type Standing struct {
	State  session.ModalityState
	Source Kind
	Detail string
	At     time.Time // when the source said it; zero: never
	Until  time.Time // when it stops to hold, if nobody says it again; zero: that is not known
	Since  time.Time // when the asset came into this state
	Shut   string    // why nothing opens, whatever the state permits: what the key switch says; "": it may
}

// Words say whose word it is, and what that source adds.
func (s Standing) Words() string {
	if s.Detail == "" {
		return string(s.Source)
	}
	return string(s.Source) + ": " + s.Detail
}

// strictness orders states; what is no state is as strict as unknown.
func strictness(s session.ModalityState) int {
	i := slices.Index(session.ModalityStates(), s)
	if i < 0 {
		return strictness(session.ModalityUnknown)
	}
	return i
}

// relaxes reports whether a state permits anything that unknown does not.
func relaxes(s session.ModalityState) bool {
	return strictness(s) < strictness(session.ModalityUnknown)
}

// judge is how an asset stands whose sources said this. Without sources it is unknown. A key
// switch that is not on shuts it: a console is not even looked at then.
func judge(sources []Kind, said map[Kind]Reading, stale time.Duration, now time.Time) Standing {
	worst := Standing{State: session.ModalityUnknown, Detail: "no source is configured"}
	shut := ""
	for i, kind := range sources {
		r, heard := said[kind]
		s := weigh(kind, r, heard, stale, now)
		if kind == MPPS && s.State == session.PatientOnTable && answered(r, sources, said, now) {
			s.State = session.InService
		}
		if kind == KeySwitch && s.State != session.InService {
			shut = string(kind) + ": " + s.Detail
		}
		if i == 0 || strictness(s.State) > strictness(worst.State) {
			worst = s
		}
	}
	worst.Shut = shut
	return worst
}

// answered reports whether an operator has permitted something since an examination ended,
// and so has looked at the table that the procedure step left behind.
func answered(left Reading, sources []Kind, said map[Kind]Reading, now time.Time) bool {
	set := said[Operator]
	return slices.Contains(sources, Operator) && relaxes(set.State) && now.Before(set.Until) && !left.Began.IsZero() && set.At.After(left.Began)
}

// weigh is what one source's word is worth now.
func weigh(kind Kind, r Reading, heard bool, stale time.Duration, now time.Time) Standing {
	s := Standing{State: r.State, Source: kind, Detail: r.Detail, At: r.At, Until: r.Until}
	switch age := now.Sub(r.At); {
	case !heard:
		s.State, s.Detail = session.ModalityUnknown, "has said nothing yet"
	case kind == Operator && !r.Until.IsZero() && !now.Before(r.Until):
		s.State, s.Until = session.ModalityUnknown, time.Time{}
		s.Detail = fmt.Sprintf("said %s, which held until %s", r.State, r.Until.UTC().Format("15:04 MST"))
	case kind != Operator && (age > stale || age < -stale):
		s.State, s.Detail = session.ModalityUnknown, fmt.Sprintf("was last heard at %s", r.At.UTC().Format("15:04:05 MST"))
	case !slices.Contains(session.ModalityStates(), r.State):
		s.State = session.ModalityUnknown
	case strictness(r.State) < strictness(kind.loosest()):
		s.State = kind.loosest()
	}
	return s
}
