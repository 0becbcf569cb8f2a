package modality

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// Source tells what state a scanner is in, as it sees it, until ctx ends. It tells again
// at least twice in the time after which it would be stale. tell waits for nothing that
// takes long. With an error the source is started again after a while.
type Source interface {
	Run(ctx context.Context, tell func(state session.ModalityState, detail string)) error
}

// Rule is how an asset's state is found.
type Rule struct {
	Sources []Kind
	Stale   time.Duration
	Longest time.Duration   // that the operator permits something; 0: MaxFor
	Live    map[Kind]Source // of those, all that have to be run; the operator has not
}

// Book is what is known of the assets of one agent. Safe for concurrent use.
type Book struct {
	now     func() time.Time
	log     *slog.Logger
	path    string // of the switches
	changed func(asset string, is Standing)
	wake    chan struct{} // something was told
	renew   chan struct{} // the rules are others

	telling sync.Mutex // held while changes are told, in their order
	writing sync.Mutex // held while the switches are written down
	mu      sync.Mutex // guards what follows; never held across I/O
	rules   map[string]Rule
	said    map[string]map[Kind]Reading
	last    map[string]Standing // as it was told
}

// Open reads the switches that were kept at path. One that cannot be read is as if nobody
// had said anything. changed is told of each change of state, one after the other.
func Open(path string, rules map[string]Rule, now func() time.Time, log *slog.Logger, changed func(asset string, is Standing)) *Book {
	b := &Book{now: now, log: log, path: path, changed: changed, wake: make(chan struct{}, 1), renew: make(chan struct{}, 1),
		rules: rules, said: map[string]map[Kind]Reading{}, last: map[string]Standing{}}
	kept, err := readSwitches(path)
	if err != nil {
		log.Error("what the operator set cannot be read: it counts as unknown", "err", err)
	}
	for asset, r := range kept {
		b.said[asset] = map[Kind]Reading{Operator: r}
	}
	for asset := range rules {
		b.last[asset] = b.standing(asset, now())
	}
	return b
}

// Configure takes other rules. Sources are started anew; what the operator set stays.
func (b *Book) Configure(rules map[string]Rule) {
	b.mu.Lock()
	b.rules = rules
	for asset, said := range b.said {
		maps.DeleteFunc(said, func(k Kind, _ Reading) bool { return k != Operator || !slices.Contains(rules[asset].Sources, k) })
	}
	b.mu.Unlock()
	select {
	case b.renew <- struct{}{}:
	default:
	}
	b.Look()
}

// Standing is how an asset stands now; false for one without sources, which has no
// interlock.
func (b *Book) Standing(asset string) (Standing, bool) {
	now := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.rules[asset]; !ok {
		return Standing{}, false
	}
	return b.standing(asset, now), true
}

// Sources are what each source of an asset's state says, in the order of the configuration.
func (b *Book) Sources(asset string) []Standing {
	now := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	rule := b.rules[asset]
	var all []Standing
	for _, kind := range rule.Sources {
		r, heard := b.said[asset][kind]
		all = append(all, weigh(kind, r, heard, rule.Stale, now))
	}
	return all
}

// standing is called with mu held.
func (b *Book) standing(asset string, now time.Time) Standing {
	rule := b.rules[asset]
	s := judge(rule.Sources, b.said[asset], rule.Stale, now)
	if was, ok := b.last[asset]; ok && was.State == s.State {
		s.Since = was.Since
	} else {
		s.Since = now
	}
	return s
}

// tell takes a source's word.
func (b *Book) tell(asset string, kind Kind, state session.ModalityState, detail string) {
	now := b.now()
	b.mu.Lock()
	if !slices.Contains(b.rules[asset].Sources, kind) {
		b.mu.Unlock()
		return
	}
	r, was, set := Reading{State: state, Detail: wording.Line(detail, maxDetail), At: now, Began: now}, b.said[asset][kind], b.said[asset][Operator]
	if was.State == r.State && was.Detail == r.Detail {
		r.Began = was.Began
	}
	b.put(asset, kind, r)
	ends := kind.device() && strictness(state) > strictness(session.ModalityUnknown) && relaxes(set.State) && set.At.Before(now)
	if kind == MPPS && state == session.PatientOnTable { // the end of an examination is told again and again
		ends = ends && set.At.Before(r.Began)
	}
	if ends {
		b.put(asset, Operator, Reading{State: session.ModalityUnknown, At: now,
			Detail: "has not looked since the " + string(kind) + " said " + string(state)})
	}
	b.mu.Unlock()
	if ends {
		if err := b.keep("", Reading{}); err != nil {
			b.log.Error("what the operator set is not on the disk", "err", err)
		}
	}
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// put is called with mu held.
func (b *Book) put(asset string, kind Kind, r Reading) {
	if b.said[asset] == nil {
		b.said[asset] = map[Kind]Reading{}
	}
	b.said[asset][kind] = r
}

// Look tells what has changed since it was last told, and returns when all is told.
func (b *Book) Look() {
	b.telling.Lock()
	defer b.telling.Unlock()
	now := b.now()
	b.mu.Lock()
	news := map[string]Standing{}
	for asset := range b.rules {
		was, known := b.last[asset]
		is := b.standing(asset, now)
		if !known || was.State != is.State || was.Source != is.Source || was.Until != is.Until || was.Detail != is.Detail || was.Shut != is.Shut {
			news[asset] = is
		}
		b.last[asset] = is
	}
	maps.DeleteFunc(b.last, func(asset string, _ Standing) bool { _, ok := b.rules[asset]; return !ok })
	b.mu.Unlock()
	for _, asset := range slices.Sorted(maps.Keys(news)) {
		b.changed(asset, news[asset])
	}
}

// Run runs the sources, and tells what they and time change, until ctx ends.
func (b *Book) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	stop := b.start(ctx)
	defer func() { stop() }()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-b.renew:
			stop()
			stop = b.start(ctx)
		case <-b.wake:
			b.Look()
		case <-tick.C:
			b.Look()
		}
	}
}

// start runs all sources; stop waits until they have ended.
func (b *Book) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	b.mu.Lock()
	defer b.mu.Unlock()
	for asset, rule := range b.rules {
		for kind, source := range rule.Live {
			all.Go(func() { b.run(ctx, asset, kind, source) })
		}
	}
	return func() { cancel(); all.Wait() }
}

// run runs a source, again and again.
func (b *Book) run(ctx context.Context, asset string, kind Kind, source Source) {
	for {
		err := source.Run(ctx, func(state session.ModalityState, detail string) { b.tell(asset, kind, state, detail) })
		if ctx.Err() != nil {
			return
		}
		b.log.Warn("a source of a modality's state failed", "asset", asset, "source", string(kind), "err", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(againAfter):
		}
	}
}
