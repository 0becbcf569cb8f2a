package audit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/recordings/witness"
)

// shelf is one in memory.
type shelf struct {
	mu   sync.Mutex
	kept map[string][]byte
	bad  error
}

func (s *shelf) Keep(_ context.Context, id string, b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bad == nil {
		s.kept[id] = b
	}
	return s.bad
}

func (s *shelf) Drop(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.kept, id)
	return s.bad
}

func (s *shelf) Kept(context.Context) ([][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.kept)), s.bad
}

func (s *shelf) holds() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.kept)
}

// running opens a log over a disk and a shelf, and runs it until stop.
func running(t *testing.T, dir string, s *shelf) (l *Log, d *failing, stop func()) {
	t.Helper()
	d = &failing{}
	c := config(dir)
	c.Shelf = s
	l, err := open(c, d.disk())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Recall(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	return l, d, sync.OnceFunc(func() {
		cancel()
		if err := errors.Join(<-done, l.Close()); err != nil {
			t.Error(err)
		}
	})
}

func (d *failing) broken(err error) {
	d.set(func(string) fault { return fault{err: err} })
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

// order are the numbers of a log's events as they stand in it.
func order(t *testing.T, l *Log) (all []string) {
	t.Helper()
	for at := int64(0); at < l.Size(); at = int64(len(all)) {
		entries, err := l.Entries(at, l.Size())
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			e, err := witness.ParseEvent(entry)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, e.Details["n"])
		}
	}
	return all
}

func TestWhatIsOwedWaitsForNoDiskAndIsWrittenOnceAndInOrderWhenItIsBack(t *testing.T) {
	s := &shelf{kept: map[string][]byte{}}
	l, d, stop := running(t, t.TempDir(), s)
	defer stop()
	l.Owe(t.Context(), event(1))
	if l.Size() != 1 || s.holds() != 0 {
		t.Fatalf("%d entries, %d on the shelf: a sound disk has it at once", l.Size(), s.holds())
	}
	d.broken(syscall.EIO)
	start := time.Now()
	for i := range 4 {
		l.Owe(t.Context(), event(2+i))
	}
	if took := time.Since(start); took > 4*owedWait+20*time.Second {
		t.Errorf("four took %s", took)
	}
	if err := l.Append(t.Context(), event(100)); err == nil {
		t.Error("an ordinary event was taken")
	}
	eventually(t, "the fault is not told", func() bool { return l.Works(t.Context()) != nil })
	if s.holds() != 4 || l.Size() != 1 {
		t.Errorf("%d on the shelf, %d entries", s.holds(), l.Size())
	}
	d.set(nil)
	if err := l.Append(t.Context(), event(6)); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(order(t, l)), "[1 2 3 4 5 6]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	eventually(t, "the shelf stays full", func() bool { return s.holds() == 0 })
	eventually(t, "the log is not well again", func() bool { return l.Works(t.Context()) == nil })
	check(t, l, nil)
}

// A disk that hangs keeps the log's lock: what is owed, and readiness, wait for neither.
func TestWhatIsOwedDoesNotWaitForADiskThatHangs(t *testing.T) {
	s := &shelf{kept: map[string][]byte{}}
	l, d, stop := running(t, t.TempDir(), s)
	defer stop()
	hang, hangs := make(chan struct{}), make(chan struct{}, 100)
	d.set(func(string) fault { return fault{} })
	sync := l.disk.sync
	l.commit.Lock()
	l.disk.sync = func(f *os.File) error { hangs <- struct{}{}; <-hang; return sync(f) }
	l.commit.Unlock()
	l.Owe(t.Context(), event(1))
	<-hangs
	l.Owe(t.Context(), event(2))
	_ = l.Works(t.Context())
	if s.holds() != 2 {
		t.Errorf("%d on the shelf", s.holds())
	}
	close(hang)
	eventually(t, "they are not written", func() bool { return l.Size() == 2 })
}

// On a full disk the reserve is given up for what is owed, and for nothing else.
func TestAFullDiskTakesWhatIsOwed(t *testing.T) {
	dir := t.TempDir()
	l, d, stop := running(t, dir, &shelf{kept: map[string][]byte{}})
	defer stop()
	appendAll(t, l, 5)
	reserve := func() int64 {
		info, err := os.Stat(filepath.Join(dir, "reserve"))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	d.set(func(string) fault { // no room but what was given up
		if reserve() < reserveSize {
			return fault{}
		}
		return fault{err: syscall.ENOSPC}
	})
	if err := l.Append(t.Context(), event(100)); !errors.Is(err, syscall.ENOSPC) || reserve() != reserveSize {
		t.Errorf("%v, the reserve holds %d", err, reserve())
	}
	l.Owe(t.Context(), event(7))
	eventually(t, "it is not written", func() bool { return l.Size() == 6 })
	d.set(nil)
	if err := l.Append(t.Context(), event(8)); err != nil || reserve() != reserveSize {
		t.Errorf("%v, the reserve holds %d", err, reserve())
	}
	t.Log("ATTACK | one hospital fills the shared disk, then somebody has to kill, freeze, revoke or deny | written from a reserve that nothing else gets | written on a full disk | holds")
}

// What is owed outlives the process, and is written once however far that came.
func TestWhatIsOwedOutlivesTheProcessAndIsWrittenOnce(t *testing.T) {
	dir, s := t.TempDir(), &shelf{kept: map[string][]byte{}}
	l, d, stop := running(t, dir, s)
	d.broken(syscall.EIO)
	for i := range 3 {
		l.Owe(t.Context(), event(i))
	}
	stop()
	before := maps.Clone(s.kept)
	l, _, stop = running(t, dir, s)
	eventually(t, "they are not written", func() bool { return l.Size() == 3 && s.holds() == 0 })
	stop()
	s.kept = before // as if it had ended before it took them from the shelf
	l, _, stop = running(t, dir, s)
	defer stop()
	eventually(t, "the shelf stays full", func() bool { return s.holds() == 0 })
	appendAll(t, l, 1)
	if got := order(t, l); fmt.Sprint(got[:3]) != "[0 1 2]" || len(got) != 4 {
		t.Errorf("%v", got)
	}
}

// Past its bound what is owed is counted, and the count is in the log.
func TestWhatIsOwedIsBounded(t *testing.T) {
	d := &failing{}
	l, err := open(config(t.TempDir()), d.disk())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for i := range maxOwed + 3 {
		e := event(i)
		e.Salt = make([]byte, saltSize)
		e.Salt[0], e.Salt[1], e.Salt[2] = byte(i), byte(i>>8), byte(i>>16)
		l.owed.add(&debt{waiting: waiting{event: e}, at: time.Now(), paid: make(chan struct{})})
	}
	appendAll(t, l, 1)
	if l.Size() != maxOwed+2 {
		t.Errorf("%d entries", l.Size())
	}
	entries, err := l.Entries(maxOwed, maxOwed+1)
	if err != nil {
		t.Fatal(err)
	}
	e, err := witness.ParseEvent(entries[0])
	if err != nil || e.Event != "events-lost" || e.Details["count"] != strconv.Itoa(3) {
		t.Errorf("%+v %v", e, err)
	}
}
