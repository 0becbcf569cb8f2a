package agent

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/agent/modality"
	"github.com/sallyport/sallyport/agent/modality/mpps"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/interlock"
)

// Modality is what kind of scanner an asset is, and how its state is found. In the file it
// is the kind alone, "PT/CT", where the scanner has no interlock.
type Modality struct {
	Kind string `yaml:"kind,omitempty"` // "PT/CT"
	// Sources say what state it is in; the most restrictive of them wins. None: no interlock.
	Sources []StateSource `yaml:"sources,omitempty"`
	// Stale is for how long a source may say nothing until it counts as unknown ("2m").
	Stale string `yaml:"stale,omitempty"`
	// Longest is for how long the operator's switch permits something at the most ("2h").
	Longest string `yaml:"longest,omitempty"`
	// Shifts are when they end, in the asset's zone ("14:00"): the agent's page offers to hold until then.
	Shifts []string `yaml:"shifts,omitempty"`
}

// UnmarshalYAML reads the long form or the short one.
func (m *Modality) UnmarshalYAML(read func(any) error) error {
	type long Modality
	*m = Modality{}
	if read(&m.Kind) == nil {
		return nil
	}
	return read((*long)(m))
}

// MarshalYAML writes what UnmarshalYAML reads.
func (m Modality) MarshalYAML() (any, error) {
	type long Modality
	if len(m.Sources) == 0 && m.Stale == "" && m.Longest == "" && len(m.Shifts) == 0 {
		return m.Kind, nil
	}
	return long(m), nil
}

// StateSource is one source of a modality's state: "operator", or exactly one of the others
// with what it needs.
type StateSource struct {
	Operator  bool     `yaml:"-"`
	KeySwitch string   `yaml:"key_switch,omitempty"` // "file:/path", "gpio:/dev/gpiochip0:17" or "serial:/dev/ttyS0:cts"
	MPPS      *MPPS    `yaml:"mpps,omitempty"`
	Probe     *Probe   `yaml:"probe,omitempty"`
	Schedule  []string `yaml:"schedule,omitempty"` // hours with patients, in the asset's zone: "Mon-Fri 07:00-18:30"
}

// UnmarshalYAML reads a name, or a name with what it needs.
func (s *StateSource) UnmarshalYAML(read func(any) error) error {
	type long StateSource
	var name string
	*s = StateSource{}
	if read(&name) != nil {
		return read((*long)(s))
	}
	if name != string(modality.Operator) {
		return fmt.Errorf("%.32q is no source that stands alone; operator is", name)
	}
	s.Operator = true
	return nil
}

// MarshalYAML writes what UnmarshalYAML reads.
func (s StateSource) MarshalYAML() (any, error) {
	type long StateSource
	if s.Operator {
		return string(modality.Operator), nil
	}
	return long(s), nil
}

// kinds are the sources that are asked for here: exactly one in what Validate has passed.
func (s StateSource) kinds() []modality.Kind {
	var all []modality.Kind
	for kind, is := range map[modality.Kind]bool{modality.Operator: s.Operator, modality.KeySwitch: s.KeySwitch != "",
		modality.MPPS: s.MPPS != nil, modality.Probe: s.Probe != nil, modality.Timetable: s.Schedule != nil} {
		if is {
			all = append(all, kind)
		}
	}
	return all
}

// live makes a source that has to be run; nil where nothing has.
func (s StateSource) live(a Asset, now func() time.Time, ports *mpps.Ports) (modality.Source, error) {
	switch {
	case s.KeySwitch != "":
		return wired(s.KeySwitch)
	case s.MPPS != nil:
		return s.MPPS.source(a, ports)
	case s.Probe != nil:
		return s.Probe.source(a)
	case s.Schedule != nil:
		zone, err := time.LoadLocation(a.Policy.Zone)
		if err != nil {
			return nil, err
		}
		return modality.NewSchedule(s.Schedule, zone, now)
	}
	return nil, nil
}

// Interlock is a hospital's tighter rules for one asset: the states in which a class works.
type Interlock map[session.Class][]session.ModalityState

func (v *checker) modality(path string, a Asset) {
	m := a.Modality
	stale := v.duration(path+".modality.stale", m.Stale)
	v.require(path+".modality.stale", m.Stale == "" || stale >= modality.MinStale && stale <= modality.MaxStale,
		fmt.Sprintf("between %s and %s", modality.MinStale, modality.MaxStale))
	v.require(path+".modality.stale", m.Stale == "" || len(m.Sources) > 0, "without sources nothing gets stale")
	v.holding(path+".modality", m)
	var has []modality.Kind
	for i, s := range m.Sources {
		at := fmt.Sprintf("%s.modality.sources[%d]", path, i)
		kinds := s.kinds()
		v.require(at, len(kinds) == 1, "a source is operator, or exactly one of the others with what it needs")
		v.require(at, len(kinds) != 1 || !slices.Contains(has, kinds[0]), "the asset has this source already")
		has = append(has, kinds...)
		if _, err := s.live(a, time.Now, &v.ports); err != nil {
			v.require(at, false, strings.TrimSuffix(err.Error(), "."))
		}
	}
	v.require(path+".modality.sources", len(has) == 0 || modality.Permits(has),
		"something must be able to permit work: operator, a key switch or a schedule; and where devices speak, a person must")
	v.require(path+".interlock", len(a.Interlock) == 0 || len(m.Sources) > 0, "an interlock needs sources of the modality's state")
	if err := interlock.Rules(a.Interlock).Check(); err != nil {
		v.require(path+".interlock", false, strings.TrimSuffix(err.Error(), "."))
	}
}

// holding checks for how long the operator's switch may permit something.
func (v *checker) holding(path string, m Modality) {
	operator := slices.ContainsFunc(m.Sources, func(s StateSource) bool { return s.Operator })
	longest := v.duration(path+".longest", m.Longest)
	v.require(path+".longest", m.Longest == "" || longest >= time.Minute && longest <= modality.MaxFor, fmt.Sprintf("between %s and %s", time.Minute, modality.MaxFor))
	v.require(path+".longest", m.Longest == "" || operator, "it bounds the operator's switch, which is no source here")
	v.require(path+".shifts", len(m.Shifts) == 0 || operator, "they are offered with the operator's switch, which is no source here")
	v.require(path+".shifts", len(m.Shifts) <= maxShifts, fmt.Sprintf("at most %d", maxShifts))
	for i, s := range m.Shifts {
		_, err := time.Parse("15:04", s)
		v.require(fmt.Sprintf("%s.shifts[%d]", path, i), err == nil && len(s) == 5, `the end of a shift looks like "14:00"`)
	}
}

// longest is for how long the operator's switch permits something at the most.
func (m Modality) longest() time.Duration {
	if d, err := time.ParseDuration(m.Longest); err == nil && m.Longest != "" {
		return min(d, modality.MaxFor)
	}
	return modality.MaxFor
}

// states are the rules by which the assets' states are found.
func (c *Config) states(now func() time.Time) map[string]modality.Rule {
	all, ports := map[string]modality.Rule{}, &mpps.Ports{}
	for _, a := range c.Assets {
		if len(a.Modality.Sources) == 0 {
			continue
		}
		rule := modality.Rule{Stale: modality.DefaultStale, Longest: a.Modality.longest(), Live: map[modality.Kind]modality.Source{}}
		if d, err := time.ParseDuration(a.Modality.Stale); err == nil {
			rule.Stale = d
		}
		for _, s := range a.Modality.Sources {
			for _, kind := range s.kinds() {
				rule.Sources = append(rule.Sources, kind)
				if source, err := s.live(a, now, ports); err == nil && source != nil {
					rule.Live[kind] = source
				}
			}
		}
		all[a.Name] = rule
	}
	return all
}

// interlock are an asset's rules.
func (c *Config) interlock(asset string) interlock.Rules {
	for _, a := range c.Assets {
		if a.Name == asset {
			return interlock.Rules(a.Interlock)
		}
	}
	return nil
}

// modality is how an asset stands, for the engine.
func (a *Agent) modality(asset string) (engine.Modality, bool) {
	s, some := a.states.Standing(asset)
	return engine.Modality{State: s.State, Says: s.Words(), Rules: a.rules.Load().interlock(asset), Shut: s.Shut}, some
}
