package lamp

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// bulb is a lamp that a test breaks.
type bulb struct {
	mu    sync.Mutex
	on    bool
	err   error
	stuck chan struct{}
	alarm bool
	sets  int
}

func (b *bulb) Set(on bool) error {
	b.mu.Lock()
	stuck := b.stuck
	b.mu.Unlock()
	if stuck != nil {
		<-stuck
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.on, b.sets = on, b.sets+1
	}
	return b.err
}

func (b *bulb) rings() bool           { b.mu.Lock(); defer b.mu.Unlock(); return b.alarm }
func (b *bulb) Close() error          { return nil }
func (b *bulb) shines() bool          { synctest.Wait(); b.mu.Lock(); defer b.mu.Unlock(); return b.on }
func (b *bulb) move(f func(*bulb))    { b.mu.Lock(); defer b.mu.Unlock(); f(b) }
func (b *bulb) open() (output, error) { return b, nil }

func run(t *testing.T, b *bulb) *Lamp {
	l, err := New("file:/run/lamp")
	if err != nil {
		t.Fatal(err)
	}
	l.open = b.open
	l.wake, l.settled = make(chan struct{}, 1), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx, b.rings) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if b.on && b.err == nil {
			t.Error("the lamp shines when the agent has ended")
		}
	})
	return l
}

func TestALampShinesFromTheFirstToTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bulb{on: true} // left on by an agent that was killed
		l := run(t, b)
		if b.shines() {
			t.Fatal("a lamp shines while nobody is connected")
		}
		first, err := l.Light(t.Context())
		if err != nil || !b.on {
			t.Fatal("dark before the first byte", err)
		}
		second, err := l.Light(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		first()
		first()
		time.Sleep(time.Hour)
		if !b.shines() {
			t.Fatal("dark while somebody is connected")
		}
		second()
		if b.shines() {
			t.Fatal("it shines after the last one")
		}
		if _, err := l.Light(t.Context()); err != nil { // and the end of the agent puts it out
			t.Fatal(err)
		}
	})
}

func TestALampThatIsDarkIsTold(t *testing.T) {
	for what, spoil := range map[string]func(*bulb){
		"broken": func(b *bulb) { b.err = errors.New("no such device") },
		"stuck":  func(b *bulb) { b.stuck = make(chan struct{}) },
	} {
		synctest.Test(t, func(t *testing.T) {
			b := &bulb{}
			l := run(t, b)
			b.shines()
			b.move(spoil)
			off, err := l.Light(t.Context())
			off()
			if err == nil || l.Trouble() == nil {
				t.Errorf("%s: nobody is told", what)
			}
			b.move(func(b *bulb) {
				if b.stuck != nil {
					close(b.stuck)
				}
				b.err, b.stuck = nil, nil
			})
			off, err = l.Light(t.Context())
			if err != nil || !b.shines() || l.Trouble() != nil {
				t.Errorf("%s: mended, and still dark: %v %v", what, err, l.Trouble())
			}
			off()
			if b.shines() {
				t.Errorf("%s: it shines for nobody", what)
			}
		})
	}
}

func TestALampThatIsBackLights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bulb{err: errors.New("no such device")}
		l := run(t, b)
		off, err := l.Light(t.Context())
		if err == nil {
			t.Fatal("a broken lamp is lit")
		}
		b.move(func(b *bulb) { b.err = nil })
		time.Sleep(againEvery + time.Second)
		if !b.shines() || l.Trouble() != nil {
			t.Error("a lamp that is back does not light")
		}
		off()
	})
}

func TestALampOfAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lamp")
	if err := os.WriteFile(path, []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := New("file:" + path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = l.Run(ctx, func() bool { return false }) }()
	says := func() string { raw, _ := os.ReadFile(path); return string(raw) }
	off, err := l.Light(ctx)
	if err != nil || says() != "1\n" {
		t.Errorf("%v, the file says %q", err, says())
	}
	off()
	cancel()
	<-done
	if says() != "0\n" {
		t.Errorf("the file says %q at the end", says())
	}
	if _, err := New("serial:/dev/ttyS0:cts"); err == nil {
		t.Error("an input is no lamp")
	}
}

// While an alarm rings it is on for half a second and off for half a second, and it counts as
// lit all the same; without one it is set when something changes, and no more.
func TestALampBlinksWhileAnAlarmRings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bulb{}
		l := run(t, b)
		off, err := l.Light(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sets := func() int { b.mu.Lock(); defer b.mu.Unlock(); return b.sets }
		calm := sets()
		time.Sleep(againEvery - time.Second)
		if !b.shines() || sets() != calm {
			t.Errorf("a lamp without an alarm was set %d times more", sets()-calm)
		}
		b.move(func(b *bulb) { b.alarm = true })
		time.Sleep(time.Minute + blinkEvery/2)
		before, lit := sets(), 0
		for range 20 {
			if b.shines() {
				lit++
			}
			time.Sleep(blinkEvery)
		}
		if lit != 10 || sets()-before < 20 {
			t.Errorf("of 20 half seconds it is lit in %d, and was set %d times", lit, sets()-before)
		}
		for range 2 { // whoever comes while it is dark for a blink does not wait
			other, err := l.Light(t.Context())
			if err != nil {
				t.Error("a blinking lamp is taken for a broken one:", err)
			}
			other()
			time.Sleep(blinkEvery)
		}
		b.move(func(b *bulb) { b.alarm = false })
		time.Sleep(2 * blinkEvery)
		for range 4 {
			if !b.shines() {
				t.Error("dark after the alarm")
			}
			time.Sleep(blinkEvery)
		}
		off()
		if b.shines() {
			t.Error("it shines after the last one")
		}
	})
}
