package agent

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/sallyport/sallyport/agent/modality/contact"
	"github.com/sallyport/sallyport/agent/modality/lamp"
	"github.com/sallyport/sallyport/session"
)

// Lamp is a lamp at the agent's host that shows that somebody is connected to a scanner.
type Lamp struct {
	Line string `yaml:"line"` // "file:/path", "gpio:/dev/gpiochip0:27" or "serial:/dev/ttyS0:rts"
	// Required: nothing opens while the lamp does not light.
	Required bool `yaml:"required,omitempty"`
}

func (v *checker) lamp(path string, l *Lamp) {
	if l == nil {
		return
	}
	line, err := contact.Parse(l.Line)
	if err == nil {
		err = line.CheckOutput()
	}
	v.require(path+".line", err == nil, fmt.Sprint(err))
}

// lamps are those of the assets. Assets may share one.
type lamps struct {
	log   *slog.Logger
	rings func(asset string) bool // an alarm does, of a critical section there; it must not block
	renew chan struct{}           // there are others

	mu    sync.Mutex // never held across I/O
	rules map[string]Lamp
	lines map[string]*lamp.Lamp // all that there ever were: one goes out with its last connection
}

func newLamps(assets []Asset, rings func(asset string) bool, log *slog.Logger) *lamps {
	l := &lamps{log: log, rings: rings, renew: make(chan struct{}, 1), lines: map[string]*lamp.Lamp{}}
	l.configure(assets)
	return l
}

// configure takes the lamps of other assets; those that shine go on.
func (l *lamps) configure(assets []Asset) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rules = map[string]Lamp{}
	for _, a := range assets {
		if a.Lamp == nil {
			continue
		}
		l.rules[a.Name] = *a.Lamp
		if l.lines[a.Lamp.Line] != nil {
			continue
		}
		if one, err := lamp.New(a.Lamp.Line); err == nil { // Validate has seen to that
			l.lines[a.Lamp.Line] = one
		}
	}
	select {
	case l.renew <- struct{}{}:
	default:
	}
}

// run drives the lamps until ctx ends; then they are out.
func (l *lamps) run(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	driven := map[string]bool{}
	for {
		l.mu.Lock()
		for line, one := range l.lines {
			if !driven[line] {
				driven[line] = true
				all.Go(func() { _ = one.Run(ctx, func() bool { return l.alarm(line) }) })
			}
		}
		l.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.renew:
		}
	}
}

// alarm reports whether an alarm rings at a scanner whose lamp is at a line.
func (l *lamps) alarm(line string) bool {
	l.mu.Lock()
	var at []string
	for asset, rule := range l.rules {
		if rule.Line == line {
			at = append(at, asset)
		}
	}
	l.mu.Unlock()
	return slices.ContainsFunc(at, l.rings)
}

// of is the lamp of an asset; nil where it has none.
func (l *lamps) of(asset string) (one *lamp.Lamp, rule Lamp) {
	l.mu.Lock()
	defer l.mu.Unlock()
	rule = l.rules[asset]
	return l.lines[rule.Line], rule
}

// light lights an asset's lamp for a connection, until off is called.
func (l *lamps) light(ctx context.Context, asset string) (off func(), err error) {
	one, rule := l.of(asset)
	if one == nil {
		return func() {}, nil
	}
	off, err = one.Light(ctx)
	switch {
	case err == nil:
	case rule.Required:
		off()
		return nil, &session.Error{Kind: session.Refused, Message: "The lamp that shows a connection to the scanner does not light, and the hospital requires it.",
			Next: "The hospital looks after the lamp; sallyport-agent doctor says what is wrong with it.", Err: err}
	default:
		l.log.Error("the lamp does not light", "asset", asset, "err", err)
	}
	return off, nil
}
