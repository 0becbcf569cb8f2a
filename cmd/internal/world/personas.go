package world

import (
	"context"
	"encoding/json"
	"os"

	"github.com/sallyport/sallyport/agent"
	"github.com/sallyport/sallyport/cmd/internal/devidp"
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
		if err := replace(home+"/trust.d/"+site+".json", trust); err != nil {
			return err
		}
		if err := replace(home+"/config.json", config); err != nil {
			return err
		}
	}
	return nil
}
