package main

import (
	"slices"
	"strings"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/display"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// stands says how a scanner stands, whose word that is, and how old: the broker's word of
// what its agent told. The agent decides by what it knows itself.
func (p *program) stands(a api.Asset) string {
	s := a.Standing
	if s.Interlock == "none" {
		return wording.NoInterlock
	}
	says := strings.TrimSuffix(s.Source+": "+s.Detail, ": ")
	if s.Source != "" && s.At != nil {
		says += ", " + display.Span(max(p.now().Sub(*s.At), 0)) + " ago"
	}
	words := s.State.Words()
	switch {
	case s.Why != "" && s.Last != "":
		says = "what was last known does not count: " + s.Why + ". It was " + s.Last.Words() + ", " + says
	case s.Why != "":
		says = s.Why
	case s.Until != nil:
		says += ", holds until " + p.both(*s.Until, a.Zone)
	}
	if says != "" {
		words += " (" + wording.Clean(says) + ")"
	}
	if s.Shut != "" {
		words += "; nothing opens now: " + wording.Clean(s.Shut)
	}
	return words
}

// classMeans says what a class means in each state of a scanner.
func classMeans(a api.Asset, class session.Class) []string {
	if a.Standing.Interlock == "none" {
		return nil
	}
	return wording.ClassMeans(worksIn(a, class))
}

// couldWork says whether a class could work now.
func couldWork(a api.Asset, class session.Class) string {
	s := a.Standing
	switch {
	case s.Interlock == "none":
		return ""
	case s.Interlock == "on" && s.Shut == "" && slices.Contains(worksIn(a, class), s.State):
		return "As it stands now, they could work."
	}
	return "As it stands now, they could not work."
}

func worksIn(a api.Asset, class session.Class) []session.ModalityState {
	w := a.Standing.Works
	return map[session.Class][]session.ModalityState{session.Observe: w.Observe, session.NonDisruptive: w.NonDisruptive, session.Disruptive: w.Disruptive}[class]
}

// patients are the lines that an approver reads of the scanner's patients.
func (p *program) patients(a api.Asset, class session.Class) []string {
	if a.Name == "" {
		return []string{"The broker does not say how the scanner stands."}
	}
	lines := []string{"The scanner is " + p.stands(a) + "."}
	if a.Standing.Interlock == "none" {
		lines = []string{wording.NoInterlock}
	}
	lines = append(lines, classMeans(a, class)...)
	if asked := wording.Consent(a.Consent); asked != "" {
		lines = append(lines, asked)
	}
	if counts := wording.Keys(a.ConsoleKeys); counts != "" {
		lines = append(lines, counts)
	}
	if now := couldWork(a, class); now != "" {
		lines = append(lines, now)
	}
	return lines
}
