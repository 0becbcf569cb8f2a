package identity

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/lobby"
)

// refusals are the sign-ins that did not succeed, by who they are from. The first of each is
// written down before it is answered; those that follow are counted, and one entry every
// refusedEvery says how many they were. What finds no place of its own is counted with others.
type refusals struct {
	mu  sync.Mutex
	all map[origin]*tally
	of  map[string]int // origins of a network
}

// origin is where refused sign-ins come from. Account is somebody whom their provider knows,
// or nobody; without a network it is all of those that are not counted apart.
type origin struct{ network, issuer, account string }

// tally is what one entry says of an origin.
type tally struct {
	count       int
	first, last time.Time
	why, way    string
	written     time.Time // when an entry was last made of it
}

func newRefusals() *refusals { return &refusals{all: map[origin]*tally{}, of: map[string]int{}} }

// place finds the tally to which a refusal belongs. r.mu is held.
func (r *refusals) place(o origin) (origin, *tally) {
	for {
		if t := r.all[o]; t != nil {
			return o, t
		}
		switch {
		case o.network != "" && len(r.all) >= maxOrigins:
			o.network, o.account = "", ""
			continue
		case o.account != "" && r.of[o.network] >= accountsOfNetwork:
			o.account = ""
			continue
		}
		t := &tally{}
		r.all[o] = t
		r.of[o.network]++
		return o, t
	}
}

// add counts a refusal. due is what an entry has to say now, if one is due.
func (r *refusals) add(o origin, why, way string, now time.Time) (at origin, due *tally) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, t := r.place(o)
	if t.count == 0 {
		t.first = now
	}
	t.count++
	t.last, t.why, t.way = now, why, way
	return at, t.take(now, false)
}

// take is what an entry says of a tally, which begins anew.
func (t *tally) take(now time.Time, all bool) *tally {
	if t.count == 0 || !all && now.Sub(t.written) < refusedEvery {
		return nil
	}
	taken := *t
	t.count, t.written = 0, now
	return &taken
}

// giveBack counts again what could not be written.
func (r *refusals) giveBack(o origin, taken *tally) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, t := r.place(o)
	if t.count == 0 {
		t.last, t.why, t.way = taken.last, taken.why, taken.way
	}
	t.count += taken.count
	t.first, t.written = taken.first, taken.written
}

// due takes all of which an entry is due, and forgets those from which nothing came.
func (r *refusals) due(now time.Time, all bool) map[origin]*tally {
	r.mu.Lock()
	defer r.mu.Unlock()
	due := map[origin]*tally{}
	for o, t := range r.all {
		if taken := t.take(now, all); taken != nil {
			due[o] = taken
		} else if now.Sub(t.written) >= refusedEvery {
			delete(r.all, o)
			if r.of[o.network]--; r.of[o.network] == 0 {
				delete(r.of, o.network)
			}
		}
	}
	return due
}

// vouched is why a sign-in is refused of somebody whose provider has said who they are.
type vouched struct {
	error
	who session.Identity
}

func (v vouched) Unwrap() error { return v.error }

// refused writes a sign-in down that did not succeed, or counts it. way says how it was tried.
func (d *Identity) refused(ctx context.Context, why error, issuer, address, way string) error {
	var e *session.Error
	errors.As(why, &e)
	o := origin{network: "unknown"}
	if p := lobby.NetworkOf(address); p.IsValid() {
		o.network = p.String()
	}
	if len(d.rules.Load().issuers[issuer]) > 0 {
		o.issuer = issuer
	}
	if v := (vouched{}); errors.As(why, &v) && v.who.Iss == o.issuer {
		o.account = v.who.Sub
	}
	o, due := d.refusals.add(o, e.Message, way, d.cfg.Now())
	if due == nil {
		return nil
	}
	err := d.audit(ctx, d.refusal(o, due))
	if err != nil {
		d.refusals.giveBack(o, due)
	}
	return err
}

// refusal is the entry of a tally.
func (d *Identity) refusal(o origin, t *tally) witness.Event {
	e := witness.Event{Event: witness.LoginRefused, Details: map[string]string{"why": t.why, "by": t.way, "count": strconv.Itoa(t.count),
		"first": t.first.UTC().Format(time.RFC3339), "last": t.last.UTC().Format(time.RFC3339), "network": o.network, "account": o.account, "issuer": o.issuer}}
	if o.network == "" {
		e.Details["network"] = "others"
	}
	if all := d.rules.Load().issuers[o.issuer]; len(all) == 1 {
		e.Site = siteOf(all[0].Side, all[0].Sites)
	}
	return e
}

// Run writes down what refused sign-ins were counted, as far as it is due, until ctx ends.
func (d *Identity) Run(ctx context.Context) error {
	tick := time.NewTicker(refusedEvery / 10)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			d.WriteRefusals(ctx, false)
		}
	}
}

// WriteRefusals writes the entries that are due, or one of all that was counted. What cannot
// be written stays counted, and is in the broker's own log.
func (d *Identity) WriteRefusals(ctx context.Context, all bool) {
	lost, fault := 0, error(nil)
	for o, t := range d.refusals.due(d.cfg.Now(), all) {
		if fault == nil {
			fault = d.audit(ctx, d.refusal(o, t))
		}
		if fault != nil {
			d.refusals.giveBack(o, t)
			lost += t.count
		}
	}
	if fault != nil {
		d.cfg.Log.Error("refused sign-ins are not in the audit log", "count", lost, "err", fault)
	}
}
