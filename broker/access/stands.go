package access

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/interlock"
	"github.com/sallyport/sallyport/session/link"
)

// How scanners stand is an agent's word, kept beside what it announced. It is for show:
// what a session may do follows what the agent knows itself.

// stands is an agent's word on one scanner.
type stands struct {
	Told bool              `json:"told,omitempty"`
	Is   *session.Standing `json:"is,omitempty"` // nil, and told: it has no interlock
}

// AssetState is how a scanner stands, as far as the broker can tell.
type AssetState struct {
	Interlock string                `json:"interlock" enum:"on,none,unknown"` // none: nothing is stopped for patients there
	State     session.ModalityState `json:"state" enum:"idle,patient-on-table,scanning,in-service,down,unknown"`
	// Last is what the agent said last, where that does not count any more; Why says why.
	Last   session.ModalityState `json:"last" enum:",idle,patient-on-table,scanning,in-service,down,unknown"`
	Why    string                `json:"why"`
	Source string                `json:"source"` // whose word that is: "operator"
	Detail string                `json:"detail"` // what the source adds
	Shut   string                `json:"shut"`   // why nothing opens, not even to look on; "": it may
	At     *time.Time            `json:"at"`     // when it was said
	Until  *time.Time            `json:"until"`  // when it stops to hold, where that is known
	Since  *time.Time            `json:"since"`  // when the scanner came into the state
	Works  ClassStates           `json:"works"`
}

// ClassStates are the states in which each class works; in all others it looks on.
type ClassStates struct {
	Observe       []session.ModalityState `json:"observe"`
	NonDisruptive []session.ModalityState `json:"non-disruptive"`
	Disruptive    []session.ModalityState `json:"disruptive"`
}

// ReportStandings takes an agent's word on how its scanners stand. What is said of a scanner
// that it did not announce is left out: a report can overtake an announcement.
func (a *Access) ReportStandings(ctx context.Context, siteName, agent string, all []session.AssetStanding) error {
	id := catalogueID(siteName, "")
	return a.wholes.UpdateWhole(ctx, catalogueKind, id, func(old []byte) (store.Whole, error) {
		s, err := readSite(old, id)
		if err != nil {
			return store.Whole{}, err
		}
		w := store.Whole{Body: old}
		for _, x := range all {
			if !slices.Contains(s.Agents[agent].Assets, x.Asset) {
				continue
			}
			e, err := a.entry(ctx, siteName, x.Asset)
			if err != nil {
				return w, err
			}
			if e.Stands.again(x.Standing) {
				continue
			}
			e.Stands = stands{Told: true, Is: x.Standing}
			p := partOf(siteName, x.Asset)
			if p.Body, err = json.Marshal(e); err != nil {
				return w, err
			}
			w.Put = append(w.Put, p)
		}
		return w, nil
	})
}

// again reports whether an agent says only once more what it said not long ago: nobody needs
// to look anew for that.
func (s stands) again(is *session.Standing) bool {
	if s.Is == nil || is == nil || is.At.Before(s.Is.At) || is.At.Sub(s.Is.At) >= standsAgain {
		return false
	}
	was := *s.Is
	was.At = is.At
	old, err := json.Marshal(was)
	now, err2 := json.Marshal(is)
	return err == nil && err2 == nil && bytes.Equal(old, now)
}

// stood is what an agent said of scanners that it announces again: an announcement by
// another node says nothing of it.
func (a *Access) stood(ctx context.Context, h link.Hello, was []string) (map[string]stands, error) {
	all := map[string]stands{}
	for _, x := range h.Assets {
		if !slices.Contains(was, x.Name) {
			continue
		}
		e, err := a.entry(ctx, h.Site, x.Name)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		if err == nil && e.Agent == h.Agent && e.Identity == h.Identity {
			all[x.Name] = e.Stands
		}
	}
	return all, nil
}

func (a *Access) entry(ctx context.Context, siteName, asset string) (entry, error) {
	var e entry
	d, err := a.docs.Get(ctx, catalogueKind, catalogueID(siteName, asset))
	if err != nil {
		return e, err
	}
	if err := json.Unmarshal(d.Body, &e); err != nil {
		return e, session.Errorf(session.Internal, "the scanner %.140s cannot be read: %w", d.ID, err)
	}
	return e, nil
}

// state is how the scanner stands at a time. What is too old, of an agent that is away, or of
// a time that has not come is unknown.
func (x scanner) state(now time.Time) AssetState {
	v := AssetState{Interlock: "unknown", State: session.ModalityUnknown, Works: works(nil)}
	switch s := x.Stands.Is; {
	case !x.Stands.Told:
		v.Why = "its agent has not said yet"
	case s == nil && x.Online:
		v.Interlock = "none"
	case s == nil:
		v.Why = "its agent is not connected; it said last that there is no interlock"
	default:
		v = AssetState{Interlock: "on", State: s.State, Source: s.Source, Detail: s.Detail, Shut: s.Shut,
			At: orNull(s.At), Until: orNull(s.Until), Since: orNull(s.Since), Works: works(s.Works)}
		if v.Why = doubt(*s, x.Online, now); v.Why != "" {
			v.State, v.Last = session.ModalityUnknown, s.State
		}
	}
	return v
}

// doubt is why an agent's word does not count now.
func doubt(s session.Standing, online bool, now time.Time) string {
	switch late := now.Add(clockSlack); {
	case !online:
		return "its agent is not connected"
	case s.At.After(late) || s.Since.After(late) || s.Until.After(late.Add(standsMost)):
		return "the times that its agent gives lie ahead"
	case !s.Until.IsZero() && !now.Before(s.Until):
		return "its time is over"
	case s.Source != "operator" && !s.At.IsZero() && now.Sub(s.At) > standsHeard:
		return "its source was not heard for too long"
	}
	return ""
}

// works are the rules of the interlock's table and of the hospital, which are never wider.
func works(hospital interlock.Rules) ClassStates {
	return ClassStates{Observe: list(hospital.Works(session.Observe)), NonDisruptive: list(hospital.Works(session.NonDisruptive)),
		Disruptive: list(hospital.Works(session.Disruptive))}
}
