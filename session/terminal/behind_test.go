package terminal

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
)

// book is a recorder and the writer behind it: nothing may be written that it does
// not hold yet.
type book struct {
	mu       sync.Mutex
	recorded []byte
	written  []byte
	lead     int // the most that was recorded and not yet written
	early    bool
	hold     chan struct{} // when set, a write waits for it
	failAt   int           // bytes after which recording fails; 0: never
	brokenAt int           // bytes after which writing fails; 0: never
	panics   bool          // instead of failing
}

func (b *book) Record(e session.Event) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failAt > 0 && len(b.recorded)+len(e.Data) > b.failAt {
		return errors.New("disk full")
	}
	b.recorded = append(b.recorded, e.Data...)
	b.lead = max(b.lead, len(b.recorded)-len(b.written))
	return nil
}

func (b *book) Close(session.EndReason) error { return nil }

func (b *book) Output(_ session.EventKind, p []byte) error {
	if b.hold != nil {
		<-b.hold
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.brokenAt > 0 && len(b.written)+len(p) > b.brokenAt {
		if b.panics {
			panic("the channel went away")
		}
		return io.ErrClosedPipe
	}
	at := len(b.written)
	b.written = append(b.written, p...)
	b.early = b.early || len(b.recorded) < at+len(p) || !bytes.Equal(b.recorded[at:at+len(p)], p)
	return nil
}

func (b *book) EndOutput()                {}
func (b *book) Say(string, time.Duration) {}
func (b *book) Leave(*session.ExitStatus) {}

// pieces gives a device's output in pieces of every size, and counts them.
type pieces struct {
	rest  []byte
	r     *rand.Rand
	reads int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	p.reads++
	n := 1 + p.r.IntN(len(b))
	if p.r.IntN(2) == 0 {
		n = 1 + p.r.IntN(100)
	}
	n = copy(b[:n], p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func output(n int) *pieces {
	r := rand.New(rand.NewPCG(3, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return &pieces{rest: b, r: r}
}

func TestOutputIsWrittenInOrderAndNeverBeforeItIsRecorded(t *testing.T) {
	for _, n := range []int{0, 1, 100, 5000, 32 << 10, 1 << 20, 5 << 20} {
		b, from := &book{}, output(n)
		want := bytes.Clone(from.rest)
		(&Relay{cfg: Config{Recorder: b}, engineer: b}).toEngineer(session.Output, from)
		if b.early || !bytes.Equal(b.written, want) || !bytes.Equal(b.recorded, want) {
			t.Errorf("%d bytes: %d recorded, %d written, early %v", n, len(b.recorded), len(b.written), b.early)
		}
	}
}

func TestWhatCannotBeRecordedIsNotWritten(t *testing.T) {
	b := &book{failAt: 1 << 20}
	(&Relay{cfg: Config{Recorder: b}, engineer: b}).toEngineer(session.Output, output(2<<20))
	if b.early || !bytes.Equal(b.written, b.recorded) || len(b.written) == 0 || len(b.written) > 1<<20 {
		t.Errorf("%d recorded, %d written, early %v", len(b.recorded), len(b.written), b.early)
	}
}

func TestAFailedWriteEndsTheCopy(t *testing.T) {
	for _, panics := range []bool{false, true} {
		b, from := &book{brokenAt: 1 << 20, panics: panics}, output(8<<20)
		(&Relay{cfg: Config{Recorder: b}, engineer: b}).toEngineer(session.Output, from)
		if len(b.written) > 1<<20 || len(from.rest) == 0 {
			t.Errorf("%d written, %d not even read", len(b.written), len(from.rest))
		}
	}
}

// An engineer who reads nothing holds the device back.
func TestRecordingRunsAheadOnlySoFar(t *testing.T) {
	b, from := &book{hold: make(chan struct{})}, output(8<<20)
	done := make(chan struct{})
	go func() {
		defer close(done)
		(&Relay{cfg: Config{Recorder: b}, engineer: b}).toEngineer(session.Output, from)
	}()
	for range 8 << 20 { // more turns than there can be writes
		select {
		case b.hold <- struct{}{}:
		case <-done:
		}
	}
	<-done
	if most := (behindMost + 1) * session.MaxEventData; b.lead > most || len(b.written) != 8<<20 {
		t.Errorf("%d recorded ahead of %d, at most %d", b.lead, len(b.written), most)
	}
}
