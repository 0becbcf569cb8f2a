package engine

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

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
	case <-time.After(30 * time.Second):
		t.Fatal("shutting waits for a write")
	}
	if err := g.Pass(func() error { t.Error("something passed a shut gate"); return nil }); !errors.Is(err, ErrOver) {
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
	for _, how := range []string{"fail", "panic"} {
		r := &flaky{tape: &tape{}, how: how}
		lost := 0
		tap := &tap{recorder: r, passed: func() {}, lost: func(error) { lost++ }}
		e := session.Event{Kind: session.Input, Data: []byte("x")}
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

// A frozen gate lets nothing begin; what waits passes at the last thaw, or learns
// that the session or its connection is over.
func TestGateFrozen(t *testing.T) {
	var g gate
	passed := make(chan error, 1)
	var sent atomic.Int32
	send := func() error { sent.Add(1); return nil }
	if !g.freeze("local") || g.freeze("local") || !g.freeze("broker") || !g.settle(time.Second) {
		t.Fatal("not frozen")
	}
	if err := g.Try(send); !errors.Is(err, errFrozen) {
		t.Errorf("%v", err)
	}
	gone := make(chan struct{})
	left := make(chan error, 1)
	go func() { left <- g.pass(send, gone, nil) }()
	close(gone)
	if err := <-left; !errors.Is(err, ErrOver) {
		t.Errorf("a connection that is gone: %v", err)
	}
	go func() { passed <- g.Pass(send) }()
	g.thaw("unknown")
	g.thaw("broker")
	if err := g.Try(send); !errors.Is(err, errFrozen) || sent.Load() != 0 || !slices.Equal(g.frozen(), []string{"local"}) {
		t.Errorf("one of two causes was lifted: %v, %d passed", err, sent.Load())
	}
	g.thaw("local")
	if err := <-passed; err != nil || sent.Load() != 1 {
		t.Errorf("after the thaw: %v, %d passed", err, sent.Load())
	}
	if err := g.Try(send); err != nil || len(g.frozen()) != 0 {
		t.Errorf("%v", err)
	}
	g.freeze("local")
	go func() { passed <- g.Pass(send) }()
	g.shut()
	if err := <-passed; !errors.Is(err, ErrOver) {
		t.Errorf("after the end: %v", err)
	}
}

// A freeze is acknowledged when what was being written has been written, and not before.
func TestGateSettles(t *testing.T) {
	var g gate
	entered, release := make(chan struct{}), make(chan struct{})
	passed := make(chan error, 1)
	go func() { passed <- g.Pass(func() error { close(entered); <-release; return nil }) }()
	<-entered
	g.freeze("local")
	if g.settle(time.Millisecond) {
		t.Error("settled while a write is under way")
	}
	settled := make(chan bool, 1)
	go func() { settled <- g.settle(10 * time.Second) }()
	close(release)
	if !<-settled || <-passed != nil {
		t.Error("not settled")
	}
}

// Many write while others freeze and thaw: between an acknowledged freeze and its
// thaw nothing is being written.
func TestGateUnderLoad(t *testing.T) {
	var g gate
	var writing atomic.Int32
	stop := make(chan struct{})
	done := make(chan struct{}, 4)
	for range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			for {
				select {
				case <-stop:
					return
				default:
				}
				_ = g.pass(func() error { writing.Add(1); writing.Add(-1); return nil }, stop, nil)
			}
		}()
	}
	for range 500 {
		g.freeze("local")
		if !g.settle(5 * time.Second) {
			t.Fatal("not settled")
		}
		for range 20 {
			if writing.Load() != 0 {
				t.Fatal("something is written while frozen")
			}
		}
		g.thaw("local")
	}
	close(stop)
	for range 4 {
		<-done
	}
}
