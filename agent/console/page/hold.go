package page

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/agent/console"
	"github.com/sallyport/sallyport/session"
)

// Hold is for how long a word of the operator's that permits something holds.
type Hold struct {
	For   time.Duration
	Till  time.Time // instead of For: the end of a shift
	Usual bool
}

// Value is a hold in a form: the same as long as what it means is the same.
func (h Hold) Value() string {
	if h.Till.IsZero() {
		return fmt.Sprintf("%dm", int(h.For.Minutes()))
	}
	return h.Till.Format("15:04")
}

// Words are a hold on a button.
func (h Hold) Words() string {
	switch whole := h.For % time.Hour; {
	case !h.Till.IsZero():
		return "End of shift, " + h.Till.Format("15:04")
	case whole != 0:
		return fmt.Sprintf("%d min", int(h.For.Minutes()))
	}
	return fmt.Sprintf("%d h", int(h.For.Hours()))
}

// Holds are those that are offered: none is longer than the longest. Shifts are their ends,
// "14:00", in the zone of now.
func Holds(now time.Time, usual, longest time.Duration, shifts []string) []Hold {
	usual = min(usual, longest)
	var all []Hold
	for _, d := range []time.Duration{30 * time.Minute, time.Hour, 2 * time.Hour, usual} {
		same := func(h Hold) bool { return h.For == d }
		if d <= longest && !slices.ContainsFunc(all, same) {
			all = append(all, Hold{For: d, Usual: d == usual})
		}
	}
	slices.SortFunc(all, func(a, b Hold) int { return cmp.Compare(a.For, b.For) })
	if end := shiftEnd(now, shifts); !end.IsZero() && end.Sub(now) <= longest {
		all = append(all, Hold{Till: end})
	}
	return all
}

// shiftEnd is the next end of a shift; zero: there are no shifts.
func shiftEnd(now time.Time, shifts []string) (next time.Time) {
	for _, s := range shifts {
		at, err := time.Parse("15:04", s)
		for day := range 2 {
			end := time.Date(now.Year(), now.Month(), now.Day()+day, at.Hour(), at.Minute(), 0, 0, now.Location())
			if err == nil && end.After(now) && (next.IsZero() || end.Before(next)) {
				next = end
			}
		}
	}
	return next
}

// holds is for how long a state of the form holds: what the page offers, and nothing else.
// What permits nothing holds until something else is said.
func (p *page) holds(to console.Switch, value string) (string, error) {
	relaxes := slices.Contains([]session.ModalityState{session.ModalityIdle, session.InService, session.Down}, to.State)
	if value == "" || !relaxes {
		return "", nil
	}
	for _, a := range p.boards.fresh(0).Assets {
		if a.Name != to.Asset || a.State == nil {
			continue
		}
		for _, h := range a.State.Holds {
			switch {
			case h.Value() != value:
			case h.Till.IsZero():
				return h.For.String(), nil
			default:
				return h.Till.Sub(p.cfg.Now()).Truncate(time.Second).String(), nil
			}
		}
	}
	return "", session.Errorf(session.Invalid, "That is no time for which it can hold now.").WithNext("Choose one of those that are shown, and press again.")
}
