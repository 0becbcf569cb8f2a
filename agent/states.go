package agent

import (
	"github.com/sallyport/sallyport/agent/console"
	"github.com/sallyport/sallyport/agent/modality"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// States are how the scanners stand, in the order of the configuration.
func (c controls) States() []console.State {
	all := []console.State{}
	for _, a := range c.a.rules.Load().Assets {
		s, some := c.a.states.Standing(a.Name)
		all = append(all, stateOf(a.Name, s, some))
	}
	return all
}

// Set is the operator's switch at this machine.
func (c controls) Set(s console.Switch) (console.State, error) {
	hold, err := s.Hold()
	if err != nil {
		return console.State{}, err
	}
	is, err := c.a.states.Set(s.Asset, s.State, hold, localOperator)
	return stateOf(s.Asset, is, true), err
}

// standings are how all scanners stand, for the broker to show.
func (a *Agent) standings() []session.AssetStanding {
	var all []session.AssetStanding
	for _, x := range a.rules.Load().Assets {
		all = append(all, session.AssetStanding{Asset: x.Name, Standing: a.told(x.Name)})
	}
	return all
}

// told is how a scanner stands; nil: it has no interlock.
func (a *Agent) told(asset string) *session.Standing {
	s, some := a.states.Standing(asset)
	if !some {
		return nil
	}
	return &session.Standing{State: s.State, Source: string(s.Source), Detail: wording.Line(s.Detail, session.MaxSaid), Shut: wording.Line(s.Shut, session.MaxSaid),
		At: s.At.UTC(), Until: s.Until.UTC(), Since: s.Since.UTC(), Works: a.rules.Load().interlock(asset)}
}

func stateOf(asset string, s modality.Standing, some bool) console.State {
	if !some {
		return console.State{Asset: asset, Interlock: "none"}
	}
	return console.State{Asset: asset, Interlock: "on", State: s.State, Source: string(s.Source), Detail: s.Detail, Shut: s.Shut,
		At: s.At.UTC(), Until: s.Until.UTC(), Since: s.Since.UTC()}
}
