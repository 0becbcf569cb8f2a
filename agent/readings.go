package agent

import (
	"context"
	"sync"
	"time"

	"github.com/sallyport/sallyport/agent/console"
	"github.com/sallyport/sallyport/agent/modality"
	"github.com/sallyport/sallyport/session"
)

const ofTheLamp = "lamp"

// readings are what the sources of an asset's state say, and how its lamp does.
func (a *Agent) readings(asset string) []console.Reading {
	all := readingsOf(a.states, asset)
	if one, _ := a.lamps.of(asset); one != nil {
		r := console.Reading{Asset: asset, Source: ofTheLamp, At: a.now().UTC()}
		if err := one.Trouble(); err != nil {
			r.State, r.Says = session.ModalityUnknown, "does not light: "+err.Error()
		}
		all = append(all, r)
	}
	return all
}

func readingsOf(book *modality.Book, asset string) (all []console.Reading) {
	for _, s := range book.Sources(asset) {
		all = append(all, console.Reading{Asset: asset, Source: string(s.Source), State: s.State, Says: s.Detail, At: s.At.UTC()})
	}
	return all
}

// listen hears the sources of a configuration for a moment, where no agent runs that does.
// What an operator set is read; nothing is changed.
func (c *Config) listen(ctx context.Context) (all []console.Reading) {
	var mu sync.Mutex
	var heard sync.WaitGroup
	ctx, cancel := context.WithTimeout(ctx, listenTime)
	defer cancel()
	said := map[string]map[modality.Kind]console.Reading{}
	for asset, rule := range c.states(time.Now) {
		said[asset] = map[modality.Kind]console.Reading{}
		for kind, source := range rule.Live {
			heard.Go(func() {
				_ = source.Run(ctx, func(state session.ModalityState, says string) {
					mu.Lock()
					defer mu.Unlock()
					said[asset][kind] = console.Reading{Asset: asset, Source: string(kind), State: state, Says: says, At: time.Now().UTC()}
				})
			})
		}
	}
	heard.Wait()
	for _, a := range c.Assets {
		for _, s := range a.Modality.Sources {
			for _, kind := range s.kinds() {
				if r, ok := said[a.Name][kind]; ok {
					all = append(all, r)
				}
			}
		}
	}
	return all
}
