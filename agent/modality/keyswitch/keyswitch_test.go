package keyswitch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/session"
)

// hand is a contact that a test moves.
type hand struct {
	mu     sync.Mutex
	closed bool
	err    error
	stuck  chan struct{}
	opens  int
}

func (h *hand) move(f func(*hand)) { h.mu.Lock(); defer h.mu.Unlock(); f(h) }

func (h *hand) Closed() (bool, error) {
	h.mu.Lock()
	stuck, closed, err := h.stuck, h.closed, h.err
	h.mu.Unlock()
	if stuck != nil {
		<-stuck
	}
	return closed, err
}

func (h *hand) Close() error { return nil }

// ear hears what a key switch tells.
type ear struct {
	mu     sync.Mutex
	state  session.ModalityState
	detail string
	last   time.Time
	on     int // how often it became on
}

func (e *ear) tell(state session.ModalityState, detail string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if state == session.InService && e.state != state {
		e.on++
	}
	e.state, e.detail, e.last = state, detail, time.Now()
}

func (e *ear) is(t *testing.T, state session.ModalityState, detail string) {
	t.Helper()
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.state != state || e.detail != detail {
		t.Fatalf("the key says %s, %q; want %s, %q", e.state, e.detail, state, detail)
	}
	if silent := time.Since(e.last); silent > tellEvery+sampleEvery+maxSilence {
		t.Fatalf("the key has been silent for %v", silent)
	}
}

// run runs a switch on a contact until the test ends.
func run(t *testing.T, h *hand) *ear {
	k := &Switch{steady: time.Second, open: func() (input, error) { h.mu.Lock(); defer h.mu.Unlock(); h.opens++; return h, nil }}
	e := &ear{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx, e.tell) }()
	t.Cleanup(func() {
		cancel()
		h.move(func(h *hand) {
			if h.stuck != nil {
				close(h.stuck)
			}
		})
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return e
}

const (
	off     = "is off"
	on      = "is on"
	justNow = "was turned on just now"
)

func TestOffCountsAtOnceAndOnWhenSteady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hand{}
		e := run(t, h)
		e.is(t, session.ModalityUnknown, off)
		time.Sleep(time.Minute)
		e.is(t, session.ModalityUnknown, off)
		h.move(func(h *hand) { h.closed = true })
		time.Sleep(sampleEvery)
		e.is(t, session.ModalityUnknown, justNow)
		time.Sleep(time.Second - 2*sampleEvery)
		e.is(t, session.ModalityUnknown, justNow)
		time.Sleep(2 * sampleEvery)
		e.is(t, session.InService, on)
		time.Sleep(time.Minute)
		e.is(t, session.InService, on)
		h.move(func(h *hand) { h.closed = false })
		time.Sleep(sampleEvery)
		e.is(t, session.ModalityUnknown, off)
	})
}

func TestALooseContactIsNeverOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hand{}
		e := run(t, h)
		time.Sleep(sampleEvery / 2) // between two samples
		for i := range 400 {
			h.move(func(h *hand) { h.closed = i%9 != 8 }) // closed nearly always
			time.Sleep(sampleEvery)
		}
		synctest.Wait()
		if e.on != 0 {
			t.Errorf("a contact that bounces was on %d times", e.on)
		}
	})
}

func TestAKeyThatIsPulledOutOrStuckIsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hand{closed: true}
		e := run(t, h)
		time.Sleep(2 * time.Second)
		e.is(t, session.InService, on)
		h.move(func(h *hand) { h.err = errors.New("no such device") })
		time.Sleep(sampleEvery)
		e.is(t, session.ModalityUnknown, "cannot be read: no such device")
		h.move(func(h *hand) { h.err = nil })
		time.Sleep(sampleEvery)
		e.is(t, session.ModalityUnknown, justNow)
		time.Sleep(time.Second)
		e.is(t, session.InService, on)
		if h.opens < 2 {
			t.Error("a contact that was pulled out was not looked for anew")
		}
		stuck := make(chan struct{})
		h.move(func(h *hand) { h.stuck = stuck })
		time.Sleep(maxSilence + sampleEvery)
		e.is(t, session.ModalityUnknown, "does not answer")
		time.Sleep(time.Minute)
		e.is(t, session.ModalityUnknown, "does not answer")
		close(stuck)
		h.move(func(h *hand) { h.stuck = nil })
		time.Sleep(sampleEvery)
		e.is(t, session.ModalityUnknown, justNow)
		time.Sleep(time.Second)
		e.is(t, session.InService, on)
	})
}

// A machine that slept, or had no time, has not seen that the contact stayed closed.
func TestWhatNobodySawIsNotSteady(t *testing.T) {
	d := debouncer{steady: time.Second}
	now := time.Unix(0, 0)
	for _, step := range []struct {
		after time.Duration
		want  bool
	}{{0, false}, {400 * time.Millisecond, false}, {10 * time.Second, false}, {400 * time.Millisecond, false}, {400 * time.Millisecond, false}, {400 * time.Millisecond, true}} {
		now = now.Add(step.after)
		if got := d.is(true, now); got != step.want {
			t.Fatalf("after %v it is %v", now.Sub(time.Unix(0, 0)), got)
		}
	}
}

// A file stands for the wire: everything that can become of it is off.
func TestAFileAsAKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	k, err := New("file:" + path)
	if err != nil {
		t.Fatal(err)
	}
	k.steady = 200 * time.Millisecond
	states := make(chan session.ModalityState, 1024)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = k.Run(ctx, func(s session.ModalityState, _ string) { states <- s })
	}()
	defer func() { cancel(); <-done }()
	until := func(want session.ModalityState) {
		t.Helper()
		late := time.After(time.Minute)
		for {
			select {
			case s := <-states:
				if s == want {
					return
				}
			case <-late:
				t.Fatalf("never %s", want)
			}
		}
	}
	put := func(content string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	until(session.ModalityUnknown)
	for what, spoil := range map[string]func() error{
		"turned off":  func() error { put("0\n"); return nil },
		"gone":        func() error { return os.Remove(path) },
		"a directory": func() error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
		"nonsense":    func() error { put("perhaps"); return nil },
	} {
		put("1\n")
		until(session.InService)
		if err := spoil(); err != nil {
			t.Fatal(what, err)
		}
		until(session.ModalityUnknown)
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBadKeysAreRefused(t *testing.T) {
	for _, line := range []string{"", "file:x", "serial:/dev/ttyS0:rts", "gpio:/dev/gpiochip0"} {
		if _, err := New(line); err == nil {
			t.Errorf("%q was taken", line)
		}
	}
}
