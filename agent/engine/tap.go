package engine

import (
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// tap is the recorder of one connection. After the first failure it takes nothing
// more, and whoever owns it is told once.
type tap struct {
	id       string // V-...
	recorder session.Recorder
	lost     func(error)
	passed   func() // something went one way or the other
	failed   atomic.Bool
	once     sync.Once
}

// Record puts an event on record or fails for good.
func (t *tap) Record(e session.Event) (err error) {
	if t.failed.Load() {
		return errRecorder
	}
	if len(e.Data) > session.MaxEventData { // what was asked for is refused, and nothing is lost
		return errTooLarge
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in recorder: %v", p)
		}
		if err != nil {
			t.fail(err)
		}
	}()
	switch e.Kind {
	case session.Marker, session.NotAllowed:
	case session.ScreenSize, session.ScreenTiles, session.ScreenCursor: // a console moves by itself
	default:
		t.passed()
	}
	return t.recorder.Record(e)
}

var errTooLarge = session.Errorf(session.Refused, "This is too large to be recorded, and so it was not done.").WithNext("Ask for less at once.")

var errRecorder = session.Errorf(session.Internal, "the recorder is lost")

func (t *tap) fail(err error) {
	t.failed.Store(true)
	t.once.Do(func() { t.lost(err) })
}

// openEnded is the tap as those see it who may record and not close.
type openEnded struct{ *tap }

// Close does nothing: the connection closes its recording.
func (openEnded) Close(session.EndReason) error { return nil }

// note records a remark of ours on the connection itself.
func (t *tap) note(n session.Note) error {
	data, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return t.Record(session.Event{Kind: session.Marker, Data: data})
}

// refusals put on record what was asked for and refused, on whichever connection,
// without letting a flood of requests become a flood of events.
type refusals struct {
	mu      sync.Mutex
	tap     *tap // nil until there is a recording
	waiting []session.Refusal
	kinds   map[string]int
	kept    int
	dropped int
}

// add takes one refusal. Before there is a recording it waits for one.
func (r *refusals) add(what, detail string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	what = wording.Line(what, 100)
	if r.kept >= refusalsKept || r.kinds[what] >= refusalsPerKind {
		r.dropped++
		return
	}
	if r.kinds == nil {
		r.kinds = map[string]int{}
	}
	r.kinds[what]++
	r.kept++
	refusal := session.Refusal{What: what, Detail: wording.Line(detail, 200)}
	if r.tap == nil {
		r.waiting = append(r.waiting, refusal)
		return
	}
	r.record(refusal)
}

// more is how many refusals are not on record one by one.
func (r *refusals) more() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dropped
}

func (r *refusals) record(refusal session.Refusal) {
	if data, err := json.Marshal(refusal); err == nil {
		_ = r.tap.Record(session.Event{Kind: session.NotAllowed, Data: data})
	}
}

// to puts what waited on record and everything from now on. A nil tap stops that.
func (r *refusals) to(t *tap) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tap = t
	if t == nil {
		return
	}
	for _, refusal := range r.waiting {
		r.record(refusal)
	}
	r.waiting = nil
}
