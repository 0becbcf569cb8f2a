package audit

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// failing is a disk that does to each step what next says of it.
type failing struct {
	mu   sync.Mutex
	next func(step string) fault
}

// fault is what becomes of one step: an error, before it or after it took place, and for a
// write how much of it got through.
type fault struct {
	err   error
	after bool
	part  int // percent of a write that reaches the file
}

func (d *failing) set(next func(string) fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.next = next
}

func (d *failing) fault(step string) fault {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.next == nil {
		return fault{}
	}
	return d.next(step)
}

func (d *failing) disk() disk {
	return disk{
		write: func(f *os.File, b []byte) (int, error) {
			x := d.fault("write")
			if x.err == nil {
				return f.Write(b)
			}
			n, _ := f.Write(b[:len(b)*x.part/100])
			return n, x.err
		},
		sync: func(f *os.File) error { return errors.Join(realDisk().sync(f), d.fault("sync").err) },
		put: func(path string, data []byte) error {
			x := d.fault("put")
			if x.err != nil && !x.after {
				return x.err
			}
			return errors.Join(realDisk().put(path, data), x.err)
		},
	}
}

func openFailing(t fatal, dir string) (*Log, *failing) {
	t.Helper()
	d := &failing{}
	l, err := open(config(dir), d.disk())
	if err != nil {
		t.Fatal(err)
	}
	return l, d
}

// texts are the events of a log by their own number, each as often as it is there.
func texts(t fatal, l *Log) map[string]int {
	t.Helper()
	found := map[string]int{}
	for at := int64(0); at < l.Size(); {
		entries, err := l.Entries(at, l.Size())
		if err != nil || len(entries) == 0 {
			t.Fatal("entries from", at, err)
		}
		for _, entry := range entries {
			e, err := witness.ParseEvent(entry)
			if err != nil || e.Seq != at {
				t.Fatal("entry", at, err)
			}
			found[e.Details["n"]]++
			at++
		}
	}
	return found
}

// Whatever goes wrong with one write, the log refuses that one, and takes the next as soon
// as the disk does: the same in this process and after a restart.
func TestAFailedWriteIsMendedWhenTheDiskTakesWritesAgain(t *testing.T) {
	t.Log("ATTACK | one write of the audit log fails (disk full, I/O error, short write, failed sync) | goes on with the next write; nothing acknowledged is lost or doubled | 4 faults, then random ones | holds")
	for what, x := range map[string]struct {
		step string
		fault
	}{
		"no room":                 {"write", fault{err: syscall.ENOSPC}},
		"no room in the middle":   {"write", fault{err: syscall.ENOSPC, part: 50}},
		"a fault after all of it": {"write", fault{err: syscall.EIO, part: 100}},
		"a failed sync":           {"sync", fault{err: syscall.EIO}},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			l, d := openFailing(t, dir)
			defer func() { l.Close() }()
			appendAll(t, l, 3)
			seen := []witness.Checkpoint{check(t, l, nil)}
			d.set(func(step string) fault {
				if step == x.step || step == "put" { // and mending does not work either
					return x.fault
				}
				return fault{}
			})
			for range 3 {
				if err := l.Append(t.Context(), event(100)); session.KindOf(err) != session.Internal || !errors.Is(err, x.err) {
					t.Fatalf("%v", err)
				}
			}
			d.set(nil)
			for i := range 3 {
				if err := l.Append(t.Context(), event(10+i)); err != nil {
					t.Fatal(err)
				}
			}
			check(t, l, seen)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = openLog(dir)
			check(t, l, seen)
			got := texts(t, l)
			if l.Size() != 6 || got["10"] != 1 || got["11"] != 1 || got["12"] != 1 || got["100"] != 0 {
				t.Errorf("%d entries: %v", l.Size(), got)
			}
		})
	}
}

// A full tile that cannot be written undoes no entry: the journal has them all, and they are
// proved from it until the disk takes the tile.
func TestATileThatCannotBeWrittenUndoesNoEntry(t *testing.T) {
	dir := t.TempDir()
	l, d := openFailing(t, dir)
	defer func() { l.Close() }()
	appendAll(t, l, 250)
	d.set(func(step string) fault {
		if step == "put" {
			return fault{err: syscall.ENOSPC}
		}
		return fault{}
	})
	taken := 0
	for i := range 10 {
		if l.Append(t.Context(), event(1000+i)) == nil {
			taken++
		}
	}
	if taken < 6 || texts(t, l)["1005"] != 1 {
		t.Fatalf("%d taken, the sixth is there %d times", taken, texts(t, l)["1005"])
	}
	d.set(nil)
	appendAll(t, l, 300)
	size := check(t, l, nil).Size
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = openLog(dir)
	if c := check(t, l, nil); c.Size != size || size != int64(550+taken) {
		t.Errorf("%d entries, then %d; %d were acknowledged", size, c.Size, 550+taken)
	}
}

// Over random faults, restarts and numbers of people at once: what was acknowledged is there
// once, nothing is there twice, and every checkpoint that left the log goes on.
func TestRandomFaultsLoseAndDoubleNothingThatWasAcknowledged(t *testing.T) {
	usually(t, "15")
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "log")
		if err != nil {
			rt.Fatal(err)
		}
		l, d := openFailing(rt, dir)
		defer func() { l.Close() }()
		acked, n := map[string]bool{}, 0
		var seen []witness.Checkpoint
		var mu sync.Mutex
		for range rapid.IntRange(1, 8).Draw(rt, "rounds") {
			bad := rapid.IntRange(0, 100).Draw(rt, "percent bad")
			dice := rapid.SliceOfN(rapid.IntRange(0, 99), 8, 8).Draw(rt, "dice")
			rolled := 0
			d.set(func(string) fault {
				rolled++
				x := dice[rolled%len(dice)]
				if x >= bad {
					return fault{}
				}
				return fault{err: []error{syscall.ENOSPC, syscall.EIO}[x%2], after: x%3 == 0, part: x}
			})
			var wg sync.WaitGroup
			for range rapid.SampledFrom([]int{1, 3, 60, 200}).Draw(rt, "events") {
				n++
				e := event(n)
				wg.Go(func() {
					if l.Append(context.Background(), e) == nil {
						mu.Lock()
						defer mu.Unlock()
						acked[e.Details["n"]] = true
					}
				})
			}
			wg.Wait()
			if note, err := l.Checkpoint(); err == nil {
				c, err := witness.OpenCheckpoint(note, l.Key())
				if err != nil {
					rt.Fatal(err)
				}
				seen = append(seen, c)
			}
			d.set(nil)
			if rapid.Bool().Draw(rt, "restart") {
				if err := l.Close(); err != nil {
					rt.Fatal(err)
				}
				l, d = openFailing(rt, dir)
			}
		}
		appendAll(rt, l, 1)
		seen = append(seen, check(rt, l, seen))
		holds(rt, l, acked)
		if err := l.Close(); err != nil {
			rt.Fatal(err)
		}
		l = openLog(dir)
		check(rt, l, seen)
		holds(rt, l, acked)
		if left, err := filepath.Glob(filepath.Join(dir, ".new-*")); err != nil || len(left) > 0 {
			rt.Fatal(left, err)
		}
	})
}

func holds(t fatal, l *Log, acked map[string]bool) {
	t.Helper()
	found := texts(t, l)
	for n := range acked {
		if found[n] == 0 {
			t.Fatal("lost", n)
		}
	}
	for n, times := range found {
		if times > 1 && n != "0" { // appendAll's own
			t.Fatal(n, "is there", times, "times")
		}
	}
}
