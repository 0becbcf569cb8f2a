package engine

import (
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
)

// A keystroke, and what comes back, takes no lock of the engine and makes nothing, no
// timer either: it passes while every lock that there is is held by somebody else.
func TestAKeystrokeWaitsForNobody(t *testing.T) {
	held(t, time.Hour, nil, func(e *Engine, id session.ID, d *console, _ *person, r *tape) {
		s, err := e.one(id)
		if err != nil {
			t.Fatal(err)
		}
		c := d.conn
		gate, recorder := c.Gate(nil, nil), c.Recorder()
		key := session.Event{Kind: session.Input, Data: []byte("k")}
		echo := session.Event{Kind: session.Output, Data: key.Data}
		passed := make(chan error, 1)
		locks := []*sync.Mutex{&e.mu, &s.freezing, &s.telling, &s.mu, &s.gate.mu, &c.opening, &c.mu, &c.refused.mu}
		for _, l := range locks {
			l.Lock()
		}
		go func() {
			err := gate.Pass(func() error { return recorder.Record(key) })
			if err == nil {
				err = recorder.Record(echo)
			}
			passed <- err
		}()
		select {
		case err = <-passed:
		case <-time.After(10 * time.Second):
			t.Error("it waits for a lock")
		}
		for _, l := range locks {
			l.Unlock()
		}
		if err != nil {
			t.Error(err)
		}
		silent := &tap{recorder: nothing{}, passed: c.touch}
		press := func() error { return silent.Record(key) }
		if n := testing.AllocsPerRun(1000, func() { _ = gate.Pass(press) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

// nothing keeps no record.
type nothing struct{}

func (nothing) Record(session.Event) error    { return nil }
func (nothing) Close(session.EndReason) error { return nil }
