package engine

import (
	"errors"
	"testing"
	"time"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
)

// A shut gate lets nothing begin, and shutting it does not wait for what is stuck in it.
func TestGate(t *testing.T) {
	var g gate
	entered, release := make(chan struct{}), make(chan struct{})
	passed := make(chan error, 1)
	go func() { passed <- g.Pass(func() error { close(entered); <-release; return nil }) }()
	<-entered
	shut := make(chan struct{})
	go func() { g.shut(); close(shut) }()
	select {
	case <-shut:
	case <-time.After(5 * time.Second):
		t.Fatal("shutting waits for a write")
	}
	if err := g.Pass(func() error { t.Error("something passed a shut gate"); return nil }); !errors.Is(err, errOver) {
		t.Errorf("%v", err)
	}
	close(release)
	if err := <-passed; err != nil {
		t.Error(err)
	}
}

// flaky fails, panics, or works, as told.
type flaky struct {
	*tape
	how string
}

func (f *flaky) Record(e session.Event) error {
	switch f.how {
	case "fail":
		return errors.New("disk full")
	case "panic":
		panic("recorder")
	}
	return f.tape.Record(e)
}

// After its first failure a tap takes nothing more, even if the recorder recovers, and
// says so once.
func TestTapIsLostForGood(t *testing.T) {
	for _, how := range []string{"fail", "panic", "too large"} {
		r := &flaky{tape: newTape(recordings.Header{}), how: how}
		lost := 0
		tap := &tap{recorder: r, passed: func() {}, lost: func(error) { lost++ }}
		e := session.Event{Kind: session.Input, Data: []byte("x")}
		if how == "too large" {
			e.Data = make([]byte, session.MaxEventData+1)
		}
		if tap.Record(e) == nil {
			t.Errorf("%s: recorded", how)
		}
		r.how = ""
		for range 3 {
			if tap.Record(session.Event{Kind: session.Input, Data: []byte("x")}) == nil {
				t.Errorf("%s: recorded again", how)
			}
		}
		if lost != 1 || len(r.events) != 0 {
			t.Errorf("%s: lost %d times, %d events", how, lost, len(r.events))
		}
	}
}
