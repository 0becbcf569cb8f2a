package audit

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func testKey() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)) }

func config(dir string) Config {
	return Config{Dir: dir, Key: testKey(), Origin: "broker.example.org", Now: time.Now}
}

type fatal interface {
	Helper()
	Fatal(...any)
}

func event(i int) witness.Event {
	return witness.Event{Event: witness.Requested, Site: "NGH", Who: &session.Identity{Iss: "https://idp", Sub: "jana"},
		Details: map[string]string{"n": fmt.Sprint(i)}}
}

func appendAll(t fatal, l *Log, n int) {
	t.Helper()
	var wg sync.WaitGroup
	errs := make(chan error, n)
	for i := range n {
		wg.Go(func() { errs <- l.Append(context.Background(), event(i)) })
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// check proves the log against itself, as a stranger would: entries hash to the
// leaves, leaves to the root, and every sampled entry has its proof.
func check(t fatal, l *Log, seen []witness.Checkpoint) witness.Checkpoint {
	t.Helper()
	signed, err := l.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	c, err := witness.OpenCheckpoint(signed, l.Key())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := l.Leaves(0, c.Size)
	if err != nil {
		t.Fatal(err)
	}
	leaves := make([][32]byte, len(raw)/32)
	for i := range leaves {
		leaves[i] = [32]byte(raw[i*32:])
	}
	for at := int64(0); at < c.Size; {
		entries, err := l.Entries(at, c.Size)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			e, err := witness.ParseEvent(entry)
			if err != nil || e.Seq != at || witness.LeafHash(entry) != leaves[at] {
				t.Fatal("entry", at, "is not its leaf", err)
			}
			at++
		}
	}
	sizes := []int64{c.Size}
	for _, old := range seen {
		sizes = append(sizes, old.Size)
	}
	roots, err := witness.Roots(leaves, sizes...)
	if err != nil || roots[0] != c.Root {
		t.Fatal("the leaves do not hash to the root", err)
	}
	for i, old := range seen {
		if roots[i+1] != old.Root {
			t.Fatal("the log tells another history than at", old.Size)
		}
		newer, p, err := l.Consistency(old.Size)
		if err != nil {
			t.Fatal(err)
		}
		q, err := witness.ParseConsistency(p.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		now, err := witness.OpenCheckpoint(newer, l.Key())
		if err != nil {
			t.Fatal(err)
		}
		if err := witness.Follows(old, now, q); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// usually sets how often a property is tried where the command line does not say it;
// SALLYPORT_PROVE leaves it at a hundred.
func usually(t *testing.T, checks string) {
	t.Helper()
	f := flag.Lookup("rapid.checks")
	before := f.Value.String()
	if before != f.DefValue || os.Getenv("SALLYPORT_PROVE") != "" {
		return
	}
	if err := f.Value.Set(checks); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Value.Set(before) })
}

func TestEveryEntryIsProvedAndEverySizeIsConsistent(t *testing.T) {
	usually(t, "25")
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "log")
		if err != nil {
			rt.Fatal(err)
		}
		l, err := Open(config(dir))
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { l.Close() }()
		var seen []witness.Checkpoint
		for range rapid.IntRange(1, 5).Draw(rt, "rounds") {
			appendAll(rt, l, rapid.SampledFrom([]int{1, 2, 3, 17, 200, 256, 300}).Draw(rt, "n"))
			seen = append(seen, check(rt, l, seen))
			if rapid.Bool().Draw(rt, "reopen") {
				if err := l.Close(); err != nil {
					rt.Fatal(err)
				}
				if l, err = Open(config(dir)); err != nil {
					rt.Fatal(err)
				}
			}
			size := seen[len(seen)-1].Size
			if l.Size() != size {
				rt.Fatalf("%d entries became %d", size, l.Size())
			}
			at := rapid.Int64Range(0, size-1).Draw(rt, "entry")
			p, err := l.Prove(at)
			if err != nil {
				rt.Fatal(err)
			}
			read, err := witness.ParseInclusion(p.Text())
			if err != nil {
				rt.Fatal(err)
			}
			if _, err := read.Included(l.Key()); err != nil {
				rt.Fatal(err)
			}
			read.Entry[len(read.Entry)/2] ^= 1
			if _, err := read.Included(l.Key()); err == nil {
				rt.Fatal("a changed entry is proved")
			}
		}
	})
}

func TestATileLevelIsCrossed(t *testing.T) {
	dir := t.TempDir()
	l := openLog(dir)
	defer l.Close()
	const n = 256*256 + 300
	group := make([][]byte, 0, 256)
	for i := range int64(n) { // straight to the disk: signing nothing, syncing little
		e := event(0)
		e.Seq, e.Salt, e.Time = i, make([]byte, 16), time.Unix(1, 0)
		group = append(group, entryOf(t, e))
		if len(group) == 256 || i == n-1 {
			if err := l.write(group); err != nil {
				t.Fatal(err)
			}
			group = group[:0:0]
		}
	}
	c := check(t, l, nil)
	for _, name := range []string{"tile/0/000", "tile/entries/255", "tile/1/000", "tile/0/257.p/44", "tile/2/000.p/1"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = openLog(dir)
	if again := check(t, l, []witness.Checkpoint{c}); again != c {
		t.Errorf("%+v became %+v", c, again)
	}
}

func openLog(dir string) *Log {
	l, err := Open(config(dir))
	if err != nil {
		panic(err)
	}
	return l
}

func entryOf(t fatal, e witness.Event) []byte {
	b, err := e.Entry()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A crash can cut the journal anywhere, or leave rubbish where the last group should
// be. Whatever was acknowledged before is there, and nothing that was not written is.
func TestATornTailLosesNothingThatWasAcknowledged(t *testing.T) {
	dir := t.TempDir()
	l := openLog(dir)
	appendAll(t, l, 3)
	seen := check(t, l, nil)
	published, err := os.ReadFile(filepath.Join(dir, "journal"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if err := l.Append(t.Context(), event(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, "journal"))
	if err != nil {
		t.Fatal(err)
	}
	try := func(what string, journal []byte, least int64) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "journal"), journal, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := Open(config(dir))
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if l.Size() < least || l.Size() > 5 {
			t.Errorf("%s: %d entries, at least %d were acknowledged", what, l.Size(), least)
		}
		if err := l.Append(t.Context(), event(9)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		raw, err := l.Leaves(0, seen.Size)
		if err != nil {
			t.Fatal(err)
		}
		roots, err := witness.Roots([][32]byte{[32]byte(raw), [32]byte(raw[32:]), [32]byte(raw[64:])}, 3)
		if err != nil || roots[0] != seen.Root {
			t.Errorf("%s: another history, %v", what, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, groups, _, err := readJournal(whole)
	if err != nil || len(groups) < 2 {
		t.Fatal(len(groups), err)
	}
	last := len(groupBytes(groups[len(groups)-1]))
	for n := len(published); n <= len(whole); n++ {
		least := seen.Size
		if n >= len(whole)-last {
			least = 4
		}
		if n == len(whole) {
			least = 5
		}
		try(fmt.Sprintf("cut at %d of %d", n, len(whole)), slices.Clone(whole[:n]), least)
	}
	for n := len(whole) - last; n < len(whole); n++ {
		torn := slices.Clone(whole)
		clear(torn[n:])
		torn[n] = ^whole[n]
		try(fmt.Sprintf("torn at %d", n), torn, 4)
	}
}

func TestALogThatLostWhatItPublishedDoesNotOpen(t *testing.T) {
	make := func() string {
		dir := t.TempDir()
		l := openLog(dir)
		for range 3 {
			appendAll(t, l, 200)
			check(t, l, nil)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	for name, spoil := range map[string]func(dir string) error{
		"journal cut short":  func(dir string) error { return os.Truncate(filepath.Join(dir, "journal"), int64(journalHeader)+20) },
		"journal gone":       func(dir string) error { return os.Remove(filepath.Join(dir, "journal")) },
		"journal empty":      func(dir string) error { return os.Truncate(filepath.Join(dir, "journal"), 0) },
		"tile gone":          func(dir string) error { return os.Remove(filepath.Join(dir, "tile/0/000")) },
		"tile changed":       func(dir string) error { return flip(filepath.Join(dir, "tile/0/001"), 40) },
		"checkpoint changed": func(dir string) error { return flip(filepath.Join(dir, "checkpoint"), 20) },
		"journal bit":        func(dir string) error { return flip(filepath.Join(dir, "journal"), journalHeader+30) },
	} {
		dir := make()
		if err := spoil(dir); err != nil {
			t.Fatal(err)
		}
		if l, err := Open(config(dir)); err == nil {
			t.Errorf("%s: opened with %d entries", name, l.Size())
			l.Close()
		}
	}
}

func flip(name string, at int) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	b[at] ^= 1
	return os.WriteFile(name, b, 0o600)
}

func TestOneBrokerWritesALog(t *testing.T) {
	dir := t.TempDir()
	l := openLog(dir)
	var held *durable.Held
	if other, err := Open(config(dir)); !errors.As(err, &held) {
		t.Errorf("opened twice: %v, %v", other, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(t.Context(), event(1)); session.KindOf(err) != session.Internal {
		t.Errorf("a closed log took an event: %v", err)
	}
	openLog(dir).Close()
}

func TestAnEventOutOfBoundsIsRefusedAlone(t *testing.T) {
	l := openLog(t.TempDir())
	defer l.Close()
	bad := event(1)
	bad.Details = map[string]string{"not a name": "x"}
	if err := l.Append(t.Context(), bad); err == nil {
		t.Error("taken")
	}
	if err := l.Append(t.Context(), event(2)); err != nil || l.Size() != 1 {
		t.Errorf("%d entries, %v", l.Size(), err)
	}
	if _, err := l.Prove(1); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an entry that is not there: %v", err)
	}
}

func TestTheKeyIsMadeOnceAndPrivate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log.key")
	first, err := LoadKey(file)
	if err != nil {
		t.Fatal(err)
	}
	second, err := LoadKey(file)
	if err != nil || !first.Equal(second) {
		t.Errorf("another key, %v", err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if err := os.WriteFile(file, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(file); err == nil {
		t.Error("rubbish is a key")
	}
}

func TestPathsAreThoseOfTheSpecification(t *testing.T) {
	for want, got := range map[string]string{
		"tile/0/000": tilePath("0", 0, 0), "tile/1/x001/x234/067": tilePath("1", 1234067, 0), "tile/entries/x001/000.p/17": tilePath("entries", 1000, 17),
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func FuzzJournal(f *testing.F) {
	f.Add(append([]byte(journalMagic), append(make([]byte, 8), groupBytes([][]byte{[]byte("one"), []byte("two")})...)...))
	f.Add([]byte(journalMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, groups, good, err := readJournal(b)
		if err != nil {
			return
		}
		out := slices.Clone(b[:journalHeader])
		for _, g := range groups {
			out = append(out, groupBytes(g)...)
		}
		if !bytes.Equal(out, b[:good]) {
			t.Fatalf("%x became %x", b[:good], out)
		}
	})
}

// BenchmarkAppend has 16 people at it at once; p50 is what one of them waits.
func BenchmarkAppend(b *testing.B) {
	l := openLog(b.TempDir())
	defer l.Close()
	var mu sync.Mutex
	var waits []time.Duration
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			start := time.Now()
			if err := l.Append(context.Background(), event(1)); err != nil {
				b.Error(err)
			}
			took := time.Since(start)
			mu.Lock()
			waits = append(waits, took)
			mu.Unlock()
		}
	})
	slices.Sort(waits)
	b.ReportMetric(float64(waits[len(waits)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds()), "p99-µs")
}

func BenchmarkAt100000(b *testing.B) {
	l := openLog(b.TempDir())
	defer l.Close()
	for i := int64(0); i < 100_000; {
		var group [][]byte
		for range 256 {
			e := event(0)
			e.Seq, e.Salt = i, make([]byte, 16)
			group = append(group, entryOf(b, e))
			i++
		}
		if err := l.write(group); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("append", func(b *testing.B) {
		for b.Loop() {
			if err := l.Append(b.Context(), event(1)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("prove", func(b *testing.B) {
		i := int64(0)
		for b.Loop() {
			if _, err := l.Prove(i * 7919 % 100_000); err != nil {
				b.Fatal(err)
			}
			i++
		}
	})
	b.Run("consistency", func(b *testing.B) {
		i := int64(0)
		for b.Loop() {
			if _, _, err := l.Consistency(1 + i*7919%100_000); err != nil {
				b.Fatal(err)
			}
			i++
		}
	})
}

// The largest group that a journal can be given is read back whole.
func TestTheLargestGroupIsReadBack(t *testing.T) {
	entries := make([][]byte, maxGroup)
	for i := range entries {
		entries[i] = bytes.Repeat([]byte{byte(i)}, witness.MaxEvent)
	}
	journal := append(binary.BigEndian.AppendUint64([]byte(journalMagic), 0), groupBytes(entries)...)
	_, groups, good, err := readJournal(journal)
	if err != nil || good != len(journal) || len(groups) != 1 || len(groups[0]) != maxGroup {
		t.Errorf("%d of %d bytes count, %d groups: %v", good, len(journal), len(groups), err)
	}
}
