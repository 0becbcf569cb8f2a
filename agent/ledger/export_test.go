package ledger

import (
	"errors"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/session"
)

// ByKey is ByKeyFor whatever service is meant.
func (l *Ledger) ByKey(line string, now time.Time) (Ticket, error) {
	return l.byKey(line, now, func(*entry) bool { return true })
}

// Left is how long an opened session may go on at now: the least of what the wall
// clock, the monotonic clock since Begin and the grant's longest session leave.
// Nothing is left of one that is closed, not opened, or unknown.
func (l *Ledger) Left(id session.ID, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	rid, ok := l.grants[id]
	if !ok {
		return 0
	}
	e := l.entries[rid]
	if e.shut || e.rec.State != opened {
		return 0
	}
	return max(0, e.left(now))
}

// Fault decides for one step of a write ("write", "sync") whether it fails,
// and whether it takes effect all the same.
type Fault func(step string) (fail, applied bool)

// ErrFault is what a failed step says.
var ErrFault = errors.New("the disk failed")

// Inject puts a fault under the ledger; nil takes it away.
func (l *Ledger) Inject(f Fault) {
	if f == nil {
		l.Break(nil)
		return
	}
	l.Break(func(step string) (error, bool) {
		if fail, applied := f(step); fail {
			return ErrFault, applied
		}
		return nil, false
	})
}

// Break is Inject of an error of one's own.
func (l *Ledger) Break(f func(step string) (err error, applied bool)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d, ok := l.disk.(faulty); ok {
		l.disk = d.disk
	}
	if f != nil {
		l.disk = faulty{l.disk, f}
	}
}

type faulty struct {
	disk
	fault func(step string) (error, bool)
}

func (d faulty) step(name string, do func() error) error {
	err, applied := d.fault(name)
	if err == nil {
		return do()
	}
	if applied {
		_ = do()
	}
	return err
}

// write ends with a sync, as that of the disk does.
func (d faulty) write(name string, body []byte) error {
	if err := d.step("write", func() error { return d.disk.write(name, body) }); err != nil {
		return err
	}
	return d.step("sync", func() error { return nil })
}

func (d faulty) remove(name string) error {
	return d.step("remove", func() error { return d.disk.remove(name) })
}

func (d faulty) sync() error { return d.step("sync", d.disk.sync) }

// The bounds that a test fills.
const (
	MaxPending      = maxPending
	MaxKept         = maxKept
	MaxKeptVendor   = maxKeptVendor
	MaxKeptEngineer = maxKeptEngineer
	MaxBars         = maxBars
	MaxPast         = maxPast
	MaxPastVendor   = maxPastVendor
	MaxPastEngineer = maxPastEngineer
	KeepOver        = keepOver
	ForgetAfter     = forgetAfter
)

// Fill puts n requests in, granted or not; those of "many" are of as many engineers.
func (l *Ledger) Fill(n int, who session.Identity, kind string, granted bool, exp time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range n {
		e := &entry{rid: session.NewID(), rec: record{State: pending}}
		e.request.Eng, e.request.Kind, e.request.EXP = who, kind, exp.Unix()
		if granted {
			e.rec.State, e.granted.EXP = admitted, exp.Unix()
		}
		if who.Sub == "many" {
			e.request.Eng.Sub = strconv.Itoa(i)
		}
		l.entries[e.rid] = e
	}
}

// Age lets a time pass that only this process measures.
func (l *Ledger) Age(by time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.entries {
		if !e.noticed.IsZero() {
			e.noticed = e.noticed.Add(-by)
		}
	}
}

// ReserveSize is what the reserve holds when it is whole.
const ReserveSize = reserveSize

// Reread parses an entry's bytes and writes them again.
func Reread(body []byte) ([]byte, error) {
	e, err := parseEntry(body)
	if err != nil {
		return nil, err
	}
	return encode(e.rec)
}
