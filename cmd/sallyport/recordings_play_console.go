package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/sallyport/sallyport/cmd/internal/player"
	"github.com/sallyport/sallyport/cmd/internal/signin"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
)

// playing is what a script reads.
type playing struct {
	Listen string `json:"listen"`
	URL    string `json:"url"`
}

// playConsole shows a console in a browser of this machine, until ctx ends.
func (p *program) playConsole(ctx context.Context, t openRecording, how playback) error {
	r, ok := t.(*recordings.Reader)
	if !ok {
		return fmt.Errorf("a %T cannot be jumped in", t)
	}
	if how.plain {
		return session.Errorf(session.Invalid, "This is a recording of a console, and text cannot show it").
			WithNext("Leave --plain out, or take pictures out of it: sallyport recordings export " + t.Header().Recording + " --format contact-sheet -o FILE.")
	}
	trust, err := p.anchors(nil)
	signer := "It is not known here who signed it."
	if err == nil && t.SignedBy(trust) {
		signer = "Signed by the agent of " + t.Header().Site + "; whether it is whole says: sallyport recordings verify."
	}
	shown, err := player.Open(ctx, player.Config{Recording: r, Signer: signer, Typed: how.typed.wanted})
	if err != nil {
		return err
	}
	address := shown.URL
	if how.at > 0 {
		address += fmt.Sprintf("#t=%g", how.at.Seconds())
	}
	if p.asJSON() {
		if err := json.NewEncoder(p.stdout).Encode(playing{Listen: shown.Address(), URL: address}); err != nil {
			return err
		}
	} else if window := p.openPlayer(ctx, address, how.noBrowser); window != nil {
		defer window.Close()
	}
	return shown.Serve(ctx)
}

func (p *program) openPlayer(ctx context.Context, address string, noBrowser bool) *signin.Window {
	if !noBrowser {
		w, ok := signin.Browser{Env: p.env}.Open(ctx, address, func(why string) { p.warn("The browser could not be opened: %s", why) })
		if ok {
			p.say("The console is played in the browser, by this machine alone, until Ctrl-C:\n  %s", address)
			return w
		}
	}
	p.warn("Open this in a browser of this machine. It is played until Ctrl-C:\n  %s", address)
	return nil
}
