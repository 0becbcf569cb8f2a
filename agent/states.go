package agent

import (
	"github.com/sallyport/sallyport/agent/console"
	"github.com/sallyport/sallyport/agent/modality"
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

func stateOf(asset string, s modality.Standing, some bool) console.State {
	if !some {
		return console.State{Asset: asset, Interlock: "none"}
	}
	return console.State{Asset: asset, Interlock: "on", State: s.State, Source: string(s.Source), Detail: s.Detail,
		At: s.At.UTC(), Until: s.Until.UTC(), Since: s.Since.UTC()}
}
