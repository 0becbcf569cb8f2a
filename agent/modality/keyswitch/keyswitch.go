// Package keyswitch reads a key switch of the hospital's own, wired to the agent's host. It
// needs neither network nor broker nor page. The key permits nothing: turned, it has nothing
// against a session; in every other case - off, a wire that is broken, a file that is gone,
// hardware that does not answer - the asset's state is unknown and nothing opens. Off counts
// at once; on only when the contact was steady for a while, so a loose one never does.
package keyswitch

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/agent/modality/contact"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// input is the contact of a key.
type input interface {
	Closed() (bool, error)
	Close() error
}

// Switch is one key. It is run once at a time.
type Switch struct {
	steady time.Duration
	open   func() (input, error)
}

// New is the key switch at a line.
func New(line string) (*Switch, error) {
	l, err := contact.Parse(line)
	if err == nil {
		err = l.CheckInput()
	}
	if err != nil {
		return nil, session.Errorf(session.Invalid, "the key switch cannot be read: %w", err)
	}
	return &Switch{steady: steady, open: func() (input, error) { return l.Input() }}, nil
}

// sample is the contact as it was read once.
type sample struct {
	closed bool
	err    error
}

// Run tells where the key is until ctx ends.
func (k *Switch) Run(ctx context.Context, tell func(state session.ModalityState, detail string)) error {
	samples := make(chan sample) // of nobody who waits: a contact may never answer
	go k.read(ctx, samples)
	told, debounce := teller{tell: tell}, debouncer{steady: k.steady}
	silence := time.NewTimer(maxSilence)
	defer silence.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-silence.C:
			debounce.is(false, time.Now())
			told.say(session.ModalityUnknown, "does not answer")
		case s := <-samples:
			state, detail := session.ModalityUnknown, "is off"
			switch on := debounce.is(s.closed && s.err == nil, time.Now()); {
			case on:
				state, detail = session.InService, "is on"
			case s.err != nil:
				detail = "cannot be read: " + wording.Line(s.err.Error(), maxDetail)
			case s.closed:
				detail = "was turned on just now"
			}
			told.say(state, detail)
		}
		silence.Reset(maxSilence)
	}
}

// read samples the contact until ctx ends. It may hang in the kernel; then nobody hears of
// it, and it ends when the kernel lets it go.
func (k *Switch) read(ctx context.Context, samples chan<- sample) {
	var in input
	defer func() {
		if in != nil {
			_ = in.Close()
		}
	}()
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		var s sample
		if in == nil {
			in, s.err = k.open()
		}
		if s.err == nil {
			s.closed, s.err = in.Closed()
		}
		if s.err != nil && in != nil { // pulled out: look for it anew
			_ = in.Close()
			in = nil
		}
		select {
		case samples <- s:
		case <-ctx.Done():
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// debouncer says when a contact is closed for good.
type debouncer struct {
	steady      time.Duration
	since, last time.Time // of samples that were closed, without an open one or a gap between
}

// is takes a sample, and says whether the key is on.
func (d *debouncer) is(closed bool, now time.Time) bool {
	switch {
	case !closed:
		d.since, d.last = time.Time{}, time.Time{}
		return false
	case d.since.IsZero() || now.Sub(d.last) > maxSilence:
		d.since = now
	}
	d.last = now
	return now.Sub(d.since) >= d.steady
}

// teller tells what is new at once, and what is not from time to time.
type teller struct {
	tell   func(session.ModalityState, string)
	state  session.ModalityState
	detail string
	at     time.Time
}

func (t *teller) say(state session.ModalityState, detail string) {
	now := time.Now()
	if state == t.state && detail == t.detail && now.Sub(t.at) < tellEvery {
		return
	}
	t.state, t.detail, t.at = state, detail, now
	t.tell(state, detail)
}
