package world

import (
	"context"
	"encoding/json"
	"os"
	"slices"

	"github.com/sallyport/sallyport/agent"
	"github.com/sallyport/sallyport/broker"
	"github.com/sallyport/sallyport/cmd/internal/devidp"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
)

// writePersonas gives everybody a home for the command line: the broker's address
// and the trust bundle that the hospital would hand over out of band.
func (w *world) writePersonas(context.Context) error {
	bundle, err := agent.Trust(w.agent)
	if err != nil {
		return err
	}
	trust, err := json.MarshalIndent(bundle, "", "  ")
	if err != nil {
		return err
	}
	for _, p := range devidp.Personas() {
		home := w.path("personas", p.Key)
		config, err := json.Marshal(map[string]string{"broker": w.url(), "hint": p.Email})
		if err != nil {
			return err
		}
		if err := os.MkdirAll(home+"/trust.d", 0o700); err != nil {
			return err
		}
		if err := durable.Show(home+"/trust.d/"+site+".json", trust); err != nil {
			return err
		}
		if err := durable.Show(home+"/config.json", config); err != nil {
			return err
		}
	}
	return nil
}

// webPersonas are the people whom a visitor of the broker's web page can be with one click.
func webPersonas() []broker.Persona {
	var all []broker.Persona
	for _, p := range devidp.Personas() {
		role := session.Engineer
		switch {
		case slices.Contains(p.Groups, session.GroupApprovers):
			role = session.Approver
		case slices.Contains(p.Groups, session.GroupAuditors):
			role = session.Auditor
		}
		all = append(all, broker.Persona{Key: p.Key, Name: p.Name, Email: p.Email, Title: p.Title + ", " + p.Side.Name(), Role: role})
	}
	return all
}
