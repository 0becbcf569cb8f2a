package audit

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session/durable"
)

// Shelf keeps owed events where they survive this process.
type Shelf interface {
	Keep(ctx context.Context, id string, event []byte) error
	Drop(ctx context.Context, id string) error
	Kept(ctx context.Context) (events [][]byte, err error)
}

// debts are the events that are owed.
type debts struct {
	wake chan struct{}

	mu   sync.Mutex // guards what follows
	list []*debt    // the oldest first
	lost int        // that found no place
	drop []string   // ids on the shelf that are in the log
}

// debt is an event that is owed.
type debt struct {
	waiting
	at   time.Time     // when it happened
	paid chan struct{} // closed once it is in the log
	kept bool          // on the shelf; guarded by debts.mu
}

// kept is a debt as it lies on the shelf.
type kept struct {
	At    time.Time     `json:"at"`
	Event witness.Event `json:"event"`
}

func (d *debt) id() string { return hex.EncodeToString(d.event.Salt) }

// Owe takes an event of something that nothing may keep waiting. It is written at once
// where the disk does its part; otherwise it is kept, here and on the shelf, and written
// before any other event as soon as that can be. Run has to run.
func (l *Log) Owe(ctx context.Context, e witness.Event) {
	e.Salt = make([]byte, saltSize)
	_, _ = rand.Read(e.Salt)
	d := &debt{waiting: waiting{event: e}, at: l.cfg.Now(), paid: make(chan struct{})}
	held := l.owed.add(d)
	select {
	case l.owed.wake <- struct{}{}:
	default: // awake already
	}
	soon := time.NewTimer(owedWait)
	defer soon.Stop()
	if held {
		select {
		case <-d.paid:
			return
		case <-soon.C:
		}
	}
	if l.cfg.Shelf == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepWait)
	defer cancel()
	b, err := json.Marshal(kept{d.at, e})
	if err == nil {
		err = l.cfg.Shelf.Keep(ctx, d.id(), b)
	}
	if err == nil {
		l.owed.onShelf(d)
	}
}

// add takes a debt, if there is room for it.
func (o *debts) add(d *debt) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.list) >= maxOwed {
		o.lost++
		return false
	}
	o.list = append(o.list, d)
	return true
}

// onShelf notes that a debt is kept, or may be dropped: it was paid in the meantime.
func (o *debts) onShelf(d *debt) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case <-d.paid:
		o.drop = append(o.drop, d.id())
	default:
		d.kept = true
	}
}

// paid notes that the log has a debt that is on the shelf.
func (o *debts) paid(d *debt) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.drop = append(o.drop, d.id())
}

// oldest are the next to be paid.
func (o *debts) oldest() []*debt {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lost > 0 && len(o.list) == 0 {
		e := witness.Event{Event: "events-lost", Details: map[string]string{"count": strconv.Itoa(o.lost)}, Salt: make([]byte, saltSize)}
		_, _ = rand.Read(e.Salt)
		o.list, o.lost = append(o.list, &debt{waiting: waiting{event: e}, at: time.Now(), paid: make(chan struct{})}), 0
	}
	return slices.Clone(o.list[:min(len(o.list), maxGroup)])
}

// settled crosses debts out.
func (o *debts) settled(all []*debt) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.list = o.list[len(all):]
	for _, d := range all {
		close(d.paid)
		if d.kept {
			o.drop = append(o.drop, d.id())
		}
	}
}

// pay writes what is owed, the oldest first. The reserve is for this alone. l.commit is held.
func (l *Log) pay() error {
	for all := l.owed.oldest(); len(all) > 0; all = l.owed.oldest() {
		group := make([]*waiting, 0, len(all))
		for _, d := range all {
			w := d.waiting
			if late := l.cfg.Now().Sub(d.at); late > time.Second {
				w.event.Details = maps.Clone(w.event.Details)
				if w.event.Details == nil {
					w.event.Details = map[string]string{}
				}
				w.event.Details["happened"] = d.at.UTC().Format(time.RFC3339)
			}
			group = append(group, &w)
		}
		fault := l.put(group)
		for durable.Full(fault) && l.reserve.Give(int(l.journal.length)) {
			fault = l.put(group)
		}
		if fault != nil {
			return fault
		}
		l.owed.settled(all)
	}
	return nil
}

// Recall takes back what an earlier process owed: to be called before anything is appended.
func (l *Log) Recall(ctx context.Context) error {
	if l.cfg.Shelf == nil {
		return nil
	}
	found, err := l.cfg.Shelf.Kept(ctx)
	if err != nil {
		return fmt.Errorf("look for events that the audit log is owed: %w", err)
	}
	var all []kept
	for _, b := range found {
		var k kept
		if json.Unmarshal(b, &k) == nil && len(k.Event.Salt) == saltSize {
			all = append(all, k)
		}
	}
	slices.SortFunc(all, func(x, y kept) int { return x.At.Compare(y.At) })
	for _, k := range all {
		d := &debt{waiting: waiting{event: k.Event}, at: k.At, paid: make(chan struct{}), kept: true}
		there, err := l.has(k)
		switch {
		case err != nil:
			return err
		case there:
			l.owed.paid(d)
		default:
			l.owed.add(d)
		}
	}
	return nil
}

// has reports whether the log has the event of a debt: an earlier process came as far as that.
func (l *Log) has(k kept) (bool, error) {
	there := false
	_, _, err := l.Find(func(entry []byte) bool {
		e, err := witness.ParseEvent(entry)
		there = err == nil && string(e.Salt) == string(k.Event.Salt)
		return there || err != nil || e.Time.Before(k.At.Add(-clockTolerance))
	})
	return there, err
}

// Run writes what is owed, mends what is torn and looks whether the disk still takes
// writes, until ctx ends.
func (l *Log) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		l.look()
		l.tidyShelf(ctx)
		select {
		case <-ctx.Done():
			l.look()
			return nil
		case <-tick.C:
		case <-l.owed.wake:
		}
	}
}

// look does what is due on the disk.
func (l *Log) look() {
	l.commit.Lock()
	defer l.commit.Unlock()
	fault := l.pay()
	if fault == nil {
		fault = l.mend()
	}
	if fault == nil && !l.reserve.Fill() {
		fault = errNoRoom
	}
	if probe := l.health.due(); fault == nil && probe {
		l.health.note(l.disk.put(filepath.Join(l.cfg.Dir, "probe"), []byte("The audit log looks whether it can write.\n")), true)
	} else {
		l.health.note(fault, fault != nil)
	}
}

// tidyShelf removes from the shelf what is in the log. What cannot be removed ends there by
// itself, and is found in the log by then.
func (l *Log) tidyShelf(ctx context.Context) {
	l.owed.mu.Lock()
	ids := l.owed.drop
	l.owed.drop = nil
	l.owed.mu.Unlock()
	for _, id := range ids {
		ctx, cancel := context.WithTimeout(ctx, keepWait)
		_ = l.cfg.Shelf.Drop(ctx, id)
		cancel()
	}
}

// health is what is known of the disk.
type health struct {
	mu     sync.Mutex
	fault  error
	probed time.Time
	looked time.Time
}

// due reports whether the disk is to be tried: now and then, and while something is wrong.
func (h *health) due() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.fault != nil || time.Since(h.probed) > probeEvery
}

// note takes what came of a look at the disk, or of a write.
func (h *health) note(fault error, tried bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.looked = time.Now()
	if tried {
		h.fault, h.probed = fault, h.looked
	}
}

// Works says whether the log can be written, as far as is known. It waits for no disk.
func (l *Log) Works(context.Context) error {
	l.health.mu.Lock()
	defer l.health.mu.Unlock()
	switch h := &l.health; {
	case h.fault != nil:
		return fmt.Errorf("the audit log cannot be written: %w", h.fault)
	case !h.looked.IsZero() && time.Since(h.looked) > hung:
		return fmt.Errorf("the audit log's disk has not answered for %s", time.Since(h.looked).Round(time.Second))
	}
	return nil
}
