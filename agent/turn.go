package agent

import (
	"context"
	"reflect"
	"time"

	"github.com/sallyport/sallyport/agent/console/page"
)

// turnPage says that the page's settings, or what they lead to, may be others.
func (a *Agent) turnPage() {
	select {
	case a.turned <- struct{}{}:
	default:
	}
}

// keepPage serves the agent's page by the settings that count, until ctx ends. The first
// one has to open, or the agent does not start: nobody should find out at night that there
// is no STOP. One whose settings changed later is tried for ever.
func (a *Agent) keepPage(ctx context.Context) error {
	said := false
	for first := true; ctx.Err() == nil; first = false {
		turned, err := a.pageUntilTurned(ctx)
		switch {
		case turned || ctx.Err() != nil:
			said = false
			continue
		case first:
			return err
		case !said:
			a.log.Error("the agent's page is not open; it is tried again", "err", err)
			said = true
		}
		select {
		case <-ctx.Done():
		case <-a.turned:
		case <-time.After(pageAgain):
		}
	}
	return nil
}

// pageUntilTurned serves one page; turned says that it gave way to other settings.
func (a *Agent) pageUntilTurned(ctx context.Context) (turned bool, err error) {
	cfg := a.page()
	given := cfg.Settings.Given()
	until, stop := context.WithCancel(ctx)
	defer stop()
	closed := make(chan error, 1)
	if cfg.Settings.Listen != "" {
		go func() { closed <- page.Serve(until, cfg) }()
	} else {
		go func() { <-until.Done(); closed <- nil }()
	}
	for {
		select {
		case err := <-closed:
			return false, err
		case <-a.turned:
			next := a.rules.Load().Console
			if reflect.DeepEqual(next, cfg.Settings) && next.Given() == given {
				continue // who has signed in stays so
			}
			stop()
			return true, <-closed
		}
	}
}
