package agent

import (
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/sallyport/sallyport/agent/modality"
	"github.com/sallyport/sallyport/session"
)

// scanner reads an asset's part about its state.
func scanner(t *testing.T, text string) (a Asset, err error) {
	t.Helper()
	if err := yaml.NewDecoder(strings.NewReader("name: CT\n"+text), yaml.Strict(), yaml.DisallowUnknownField()).Decode(&a); err != nil {
		return a, err
	}
	v := &checker{}
	v.modality("$", a)
	v.lamp("$.lamp", a.Lamp)
	if len(v.errs) > 0 {
		return a, v.errs[0]
	}
	return a, nil
}

func TestAStateIsConfiguredShortOrLong(t *testing.T) {
	a, err := scanner(t, "modality: PT/CT\n")
	if err != nil || a.Modality.Kind != "PT/CT" || len((&Config{Assets: []Asset{a}}).states(nil)) != 0 {
		t.Fatalf("%+v, %v", a.Modality, err)
	}
	a, err = scanner(t, `
modality:
  kind: PT/CT
  sources: [operator, {schedule: ["Mon-Fri 07:00-18:00"]}]
  stale: 30s
  longest: 45m
  shifts: ["06:00", "14:00"]
interlock: {non-disruptive: [in-service]}
policy: {zone: Europe/Berlin}
`)
	if err != nil {
		t.Fatal(err)
	}
	c := &Config{Assets: []Asset{a}}
	rule := c.states(nil)["CT"]
	if len(rule.Sources) != 2 || rule.Sources[0] != modality.Operator || rule.Live[modality.Timetable] == nil || rule.Stale.Seconds() != 30 || rule.Longest.Minutes() != 45 {
		t.Errorf("%+v", rule)
	}
	if works := c.interlock("CT").Works(session.NonDisruptive); len(works) != 1 || works[0] != session.InService {
		t.Errorf("works in %v", works)
	}
	for _, m := range []Modality{{Kind: "CT"}, a.Modality} {
		text, err := yaml.Marshal(Asset{Modality: m})
		if err != nil {
			t.Fatal(err)
		}
		var back Asset
		if err := yaml.UnmarshalWithOptions(text, &back, yaml.Strict()); err != nil || len(back.Modality.Sources) != len(m.Sources) || back.Modality.Kind != m.Kind || back.Modality.Longest != m.Longest || len(back.Modality.Shifts) != len(m.Shifts) {
			t.Errorf("%s\n%+v, %v", text, back.Modality, err)
		}
	}
}

func TestAStateThatCannotBeIsRefused(t *testing.T) {
	for _, bad := range []string{
		"modality: {kind: CT, sources: [mpps]}", "modality: {kind: CT, sources: [{operator: yes}]}", "modality: {kind: CT, source: [operator]}",
		"modality: {kind: CT, sources: [operator, operator]}", "modality: {kind: CT, sources: [{}]}", "modality: {sources: [operator], stale: 1s}",
		"modality: {sources: [operator], stale: 1h}", "modality: {kind: CT, stale: 1m}", "modality: {sources: [{schedule: [all day]}]}",
		"modality: {sources: [operator]}\ninterlock: {disruptive: [idle]}", "modality: {sources: [operator]}\ninterlock: {observe: [fine]}",
		"modality: {sources: [operator], longest: 13h}", "modality: {sources: [operator], longest: 1s}", "modality: {sources: [{schedule: [\"Mon 07:00-08:00\"]}], longest: 1h}",
		"modality: {sources: [operator], shifts: [\"24:00\"]}", "modality: {sources: [operator], shifts: [\"6:00\"]}", "modality: {kind: CT, shifts: [\"06:00\"]}",
		"modality: CT\ninterlock: {disruptive: [in-service]}", "modality: {sources: [{schedule: [Mon 07:00-08:00], key_switch_: x}]}",
	} {
		if a, err := scanner(t, bad+"\n"); err == nil {
			t.Errorf("%s is taken: %+v", bad, a)
		}
	}
}

const wiredScanner = `
endpoints:
- {name: console, address: 10.40.12.11}
- {name: recon, address: recon.local}
modality:
  kind: CT
  sources:
  - operator
  - key_switch: gpio:/dev/gpiochip0:17
  - mpps: {listen: "10.40.10.5:11112", calling: [NGH_CT2]}
  - probe: {endpoint: console, port: 8226, path: /status, field: state, states: {SCAN: scanning, READY: in-service}}
lamp: {line: "serial:/dev/ttyS0:rts", required: true}
`

func TestSourcesAreMadeOfWhatIsConfigured(t *testing.T) {
	a, err := scanner(t, wiredScanner)
	if err != nil {
		t.Fatal(err)
	}
	rule := (&Config{Assets: []Asset{a}}).states(nil)["CT"]
	for _, kind := range []modality.Kind{modality.KeySwitch, modality.MPPS, modality.Probe} {
		if rule.Live[kind] == nil {
			t.Errorf("%s is not run", kind)
		}
	}
	text, err := yaml.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	var back Asset
	if err := yaml.UnmarshalWithOptions(text, &back, yaml.Strict()); err != nil || len(back.Modality.Sources) != 4 || back.Lamp == nil || *back.Lamp != *a.Lamp {
		t.Errorf("%s\n%+v, %v", text, back.Modality, err)
	}
}

func TestSourcesThatCannotBeAreRefused(t *testing.T) {
	for good, bad := range map[string]string{
		"gpio:/dev/gpiochip0:17": "gpio:17",
		"endpoint: console":      "endpoint: elsewhere",
		"port: 8226":             "port: 0",
		"SCAN: scanning":         "SCAN: busy",
		"10.40.10.5:11112":       "0.0.0.0:11112",
		"calling: [NGH_CT2]":     "calling: [NGH_CT2], from: [anywhere]",
		"[NGH_CT2]":              "[]",
		"ttyS0:rts":              "ttyS0:cts",
		"10.40.12.11}":           "console.local}", // then nobody knows from where it reports
	} {
		if _, err := scanner(t, strings.Replace(wiredScanner, good, bad, 1)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}
