// Package storetest says, as a test, what the broker expects of its store: one
// suite that every server has to pass, the one in process and the real one.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/session"
)

// Run runs the suite. open returns an empty store, again one more broker's of the same;
// advance lets d pass on its server, by moving the server's clock or by waiting.
func Run(t *testing.T, open, again func(t *testing.T) *store.Store, advance func(d time.Duration)) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *store.Store)
	}{
		{"what is absent is said to be absent", absent},
		{"names and bodies are bounded", bounded},
		{"a document is created once", createdOnce},
		{"of many creators one wins", oneCreator},
		{"no update is lost", noLostUpdate},
		{"an update that fails changes nothing", failedUpdate},
		{"an update that changes nothing makes no version", idleUpdate},
		{"a document and its parts change together", wholes},
		{"no update of a whole is lost", noLostWhole},
		{"of many takers one gets it", oneTaker},
		{"a version is never used twice", freshVersions},
		{"pages hold one name only, the newest first", pages},
		{"a document moves between names in one step", moves},
		{"a place is kept as long as the name", places},
		{"pages of several names hold a document once", merged},
		{"pages are complete and without doubles while documents change", pagesHold},
		{"an index says what its documents say, after any changes by anybody", indexesAgree},
		{"who is put is made or changed", puts},
		{"cursors that nobody was given are refused", badCursors},
		{"kinds do not mix", kinds},
		{"bodies are bytes", bytesStay},
		{"counters stop at their limit", counters},
		{"of many attempts the limit passes", countersRace},
		{"a wait ends with the change", waits},
		{"a wait ends with its context", waitEnds},
		{"two hundred waiters hear one change", crowd},
		{"a follower hears of its kinds only", follows},
		{"a follower that comes back misses nothing", resumes},
		{"a follower that joins in between misses nothing", joinsInTime},
		{"a place that is not kept is a gap", gaps},
		{"a follower that is slow hears of a document once", slowFollower},
		{"only kinds are followed", badKinds},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
	t.Run("a second broker finds the indexes as they are", func(t *testing.T) { secondBroker(t, open(t), again(t)) })
	t.Run("time to live ends", func(t *testing.T) { expires(t, open(t), advance) })
	t.Run("an end can be moved", func(t *testing.T) { endsElsewhere(t, open(t), advance) })
	t.Run("a window of a counter ends", func(t *testing.T) { windowEnds(t, open(t), advance) })
}

func absent(t *testing.T, s *store.Store) {
	ctx := t.Context()
	_, err := s.Get(ctx, "thing", "none")
	wantAbsent(t, "Get", err)
	_, err = s.Take(ctx, "thing", "none")
	wantAbsent(t, "Take", err)
	err = s.Update(ctx, "thing", "none", func([]byte) ([]byte, error) {
		t.Error("the function ran for a document that is not there")
		return nil, nil
	})
	wantAbsent(t, "Update", err)
	_, err = s.Wait(ctx, "thing", "none", 0)
	wantAbsent(t, "Wait", err)
	if err := s.Delete(ctx, "thing", "none"); err != nil {
		t.Errorf("Delete of nothing: %v", err)
	}
	wantIDs(t, s, "thing", "none")
}

func bounded(t *testing.T, s *store.Store) {
	ctx := t.Context()
	for _, bad := range []struct{ kind, id string }{
		{"", "a"}, {"Thing", "a"}, {"th}ing", "a"}, {"thing", ""}, {"thing", "a\nb"}, {"thing", "a\x00"},
		{"thing", strings.Repeat("x", store.MaxName+1)}, {strings.Repeat("k", 40), "a"},
	} {
		if err := s.Create(ctx, bad.kind, bad.id, nil, 0); err == nil {
			t.Errorf("Create(%.20q, %.20q) was taken", bad.kind, bad.id)
		}
		if _, err := s.Get(ctx, bad.kind, bad.id); err == nil || errors.Is(err, os.ErrNotExist) {
			t.Errorf("Get(%.20q, %.20q) = %v", bad.kind, bad.id, err)
		}
	}
	big := make([]byte, store.MaxBody+1)
	if err := s.Create(ctx, "thing", "big", big, 0); err == nil {
		t.Error("a body beyond the limit was taken")
	}
	must(t, s.Create(ctx, "thing", "big", big[:store.MaxBody], 0))
	if err := s.Update(ctx, "thing", "big", func([]byte) ([]byte, error) { return big, nil }); err == nil {
		t.Error("an update beyond the limit was taken")
	}
}

func createdOnce(t *testing.T, s *store.Store) {
	ctx := t.Context()
	must(t, s.Create(ctx, "thing", "a", []byte("first"), 0))
	if err := s.Create(ctx, "thing", "a", []byte("second"), 0, "elsewhere"); !errors.Is(err, store.ErrExists) {
		t.Fatalf("second Create: %v", err)
	}
	want(t, s, "thing", "a", "first")
	wantIDs(t, s, "thing", "elsewhere") // a refused Create leaves no entry
}

func oneCreator(t *testing.T, s *store.Store) {
	var made atomic.Int32
	together(20, func(i int) {
		err := s.Create(t.Context(), "thing", "a", fmt.Append(nil, i), 0)
		switch {
		case err == nil:
			made.Add(1)
		case !errors.Is(err, store.ErrExists):
			t.Errorf("Create: %v", err)
		}
	})
	if made.Load() != 1 {
		t.Errorf("%d creators won", made.Load())
	}
}

func noLostUpdate(t *testing.T, s *store.Store) {
	must(t, s.Create(t.Context(), "thing", "a", nil, 0))
	const writers, each = 8, 5
	together(writers, func(int) {
		for range each {
			if err := s.Update(t.Context(), "thing", "a", func(old []byte) ([]byte, error) {
				return append(old, 'x'), nil
			}); err != nil {
				t.Errorf("Update: %v", err)
			}
		}
	})
	want(t, s, "thing", "a", strings.Repeat("x", writers*each))
}

func failedUpdate(t *testing.T, s *store.Store) {
	ctx, no := t.Context(), errors.New("no")
	must(t, s.Create(ctx, "thing", "a", []byte("old"), 0))
	err := s.Update(ctx, "thing", "a", func(old []byte) ([]byte, error) {
		copy(old, "new")
		return old, no
	})
	if err != no {
		t.Errorf("Update = %v, want the function's own error", err)
	}
	want(t, s, "thing", "a", "old")
}

func idleUpdate(t *testing.T, s *store.Store) {
	ctx := t.Context()
	must(t, s.Create(ctx, "thing", "a", []byte("same"), 0))
	before, err := s.Get(ctx, "thing", "a")
	must(t, err)
	must(t, s.Update(ctx, "thing", "a", func(old []byte) ([]byte, error) { return old, nil }))
	after, err := s.Get(ctx, "thing", "a")
	must(t, err)
	if before.Version != after.Version {
		t.Errorf("version %d became %d", before.Version, after.Version)
	}
}

func oneTaker(t *testing.T, s *store.Store) {
	must(t, s.Create(t.Context(), "thing", "a", []byte("prize"), 0, "n"))
	var got atomic.Int32
	together(20, func(int) {
		d, err := s.Take(t.Context(), "thing", "a")
		switch {
		case err == nil && string(d.Body) == "prize":
			got.Add(1)
		case !errors.Is(err, os.ErrNotExist):
			t.Errorf("Take = %q, %v", d.Body, err)
		}
	})
	if got.Load() != 1 {
		t.Errorf("%d takers got it", got.Load())
	}
	wantIDs(t, s, "thing", "n")
}

func freshVersions(t *testing.T, s *store.Store) {
	ctx, seen := t.Context(), map[uint64]bool{}
	for range 3 {
		must(t, s.Create(ctx, "thing", "a", []byte("1"), 0))
		first, err := s.Get(ctx, "thing", "a")
		must(t, err)
		must(t, s.Update(ctx, "thing", "a", func([]byte) ([]byte, error) { return []byte("2"), nil }))
		second, err := s.Get(ctx, "thing", "a")
		must(t, err)
		if seen[first.Version] || seen[second.Version] || second.Version <= first.Version {
			t.Fatalf("versions %d, %d after %v", first.Version, second.Version, seen)
		}
		seen[first.Version], seen[second.Version] = true, true
		must(t, s.Delete(ctx, "thing", "a"))
	}
}

func kinds(t *testing.T, s *store.Store) {
	ctx := t.Context()
	must(t, s.Create(ctx, "thing", "a", []byte("thing"), 0, "n"))
	must(t, s.Create(ctx, "other", "a", []byte("other"), 0, "n"))
	want(t, s, "thing", "a", "thing")
	want(t, s, "other", "a", "other")
	must(t, s.Delete(ctx, "other", "a"))
	want(t, s, "thing", "a", "thing")
	wantIDs(t, s, "other", "n")
	wantIDs(t, s, "thing", "n", "a")
}

func bytesStay(t *testing.T, s *store.Store) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	id := "R-é/ {x}:*?[a] %2f" // an id is a name, not a pattern
	must(t, s.Create(t.Context(), "thing", id, all, 0))
	want(t, s, "thing", id, string(all))
	must(t, s.Create(t.Context(), "thing", "empty", nil, 0))
	want(t, s, "thing", "empty", "")
}

func counters(t *testing.T, s *store.Store) {
	for i := range 7 {
		ok, wait, err := s.Count(t.Context(), "login:a", time.Hour, 5)
		must(t, err)
		if ok != (i < 5) || ok != (wait == 0) || wait > time.Hour {
			t.Errorf("attempt %d: %v, %v", i+1, ok, wait)
		}
	}
	if ok, _, err := s.Count(t.Context(), "login:b", time.Hour, 5); !ok || err != nil {
		t.Errorf("another key is blocked too: %v, %v", ok, err)
	}
}

func countersRace(t *testing.T, s *store.Store) {
	var passed atomic.Int32
	together(30, func(int) {
		ok, _, err := s.Count(t.Context(), "k", time.Hour, 10)
		if err != nil {
			t.Errorf("Count: %v", err)
		}
		if ok {
			passed.Add(1)
		}
	})
	if passed.Load() != 10 {
		t.Errorf("%d attempts passed", passed.Load())
	}
}

func waits(t *testing.T, s *store.Store) {
	ctx := t.Context()
	must(t, s.Create(ctx, "thing", "a", []byte("0"), 0))
	doc, err := s.Get(ctx, "thing", "a")
	must(t, err)
	for i := 1; i <= 5; i++ {
		next := make(chan store.Doc, 1)
		go func() {
			d, err := s.Wait(ctx, "thing", "a", doc.Version)
			if err != nil {
				t.Errorf("Wait: %v", err)
			}
			next <- d
		}()
		must(t, s.Update(ctx, "thing", "a", func([]byte) ([]byte, error) { return fmt.Append(nil, i), nil }))
		select {
		case doc = <-next:
		case <-time.After(8 * time.Second):
			t.Fatal("the wait did not hear of the change")
		}
		if string(doc.Body) != fmt.Sprint(i) {
			t.Fatalf("waited for %d, got %q", i, doc.Body)
		}
	}
}

func waitEnds(t *testing.T, s *store.Store) {
	must(t, s.Create(t.Context(), "thing", "a", []byte("still"), 0))
	doc, err := s.Get(t.Context(), "thing", "a")
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	got, err := s.Wait(ctx, "thing", "a", doc.Version)
	if err != nil || string(got.Body) != "still" || got.Version != doc.Version {
		t.Errorf("Wait = %q, %v", got.Body, err)
	}
}

func crowd(t *testing.T, s *store.Store) {
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	must(t, s.Create(ctx, "thing", "a", []byte("before"), 0))
	doc, err := s.Get(ctx, "thing", "a")
	must(t, err)
	var ready, done sync.WaitGroup
	for range 200 {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			if d, err := s.Wait(ctx, "thing", "a", doc.Version); err != nil || string(d.Body) != "after" {
				t.Errorf("a waiter got %q, %v", d.Body, err)
			}
		})
	}
	ready.Wait()
	must(t, s.Update(ctx, "thing", "a", func([]byte) ([]byte, error) { return []byte("after"), nil }))
	done.Wait()
}

func expires(t *testing.T, s *store.Store, advance func(time.Duration)) {
	ctx := t.Context()
	must(t, s.Create(ctx, "thing", "short", []byte("x"), 300*time.Millisecond, "n"))
	must(t, s.Create(ctx, "thing", "long", []byte("x"), time.Hour, "n"))
	must(t, s.Create(ctx, "thing", "ever", []byte("x"), 0, "n"))
	must(t, s.Update(ctx, "thing", "short", func([]byte) ([]byte, error) { return []byte("y"), nil }))
	want(t, s, "thing", "short", "y")
	advance(400 * time.Millisecond)
	_, err := s.Get(ctx, "thing", "short")
	wantAbsent(t, "Get after its time", err)
	wantIDs(t, s, "thing", "n", "ever", "long")
	must(t, s.Create(ctx, "thing", "short", []byte("again"), 0))
}

func endsElsewhere(t *testing.T, s *store.Store, advance func(time.Duration)) {
	ctx := t.Context()
	wantAbsent(t, "Expire", s.Expire(ctx, "thing", "none", time.Hour))
	must(t, s.Create(ctx, "thing", "listed", nil, time.Hour, "n"))
	if err := s.Expire(ctx, "thing", "listed", 0); session.KindOf(err) != session.Internal {
		t.Errorf("one that is listed: %v", err)
	}
	for id, ttl := range map[string]time.Duration{"longer": 300 * time.Millisecond, "ever": 300 * time.Millisecond, "shorter": time.Hour, "ends": 0} {
		must(t, s.Create(ctx, "thing", id, []byte("x"), ttl))
	}
	must(t, s.Expire(ctx, "thing", "longer", time.Hour))
	must(t, s.Expire(ctx, "thing", "ever", 0))
	must(t, s.Expire(ctx, "thing", "shorter", 300*time.Millisecond))
	must(t, s.Expire(ctx, "thing", "ends", 300*time.Millisecond))
	advance(400 * time.Millisecond)
	want(t, s, "thing", "longer", "x")
	want(t, s, "thing", "ever", "x")
	for _, id := range []string{"shorter", "ends"} {
		_, err := s.Get(ctx, "thing", id)
		wantAbsent(t, id, err)
	}
}

func windowEnds(t *testing.T, s *store.Store, advance func(time.Duration)) {
	const window = 300 * time.Millisecond
	for i := range 3 {
		ok, _, err := s.Count(t.Context(), "k", window, 2)
		must(t, err)
		if ok != (i < 2) {
			t.Fatalf("attempt %d: %v", i+1, ok)
		}
	}
	advance(window + 100*time.Millisecond)
	if ok, _, err := s.Count(t.Context(), "k", window, 2); !ok || err != nil {
		t.Errorf("after the window: %v, %v", ok, err)
	}
}

func together(n int, f func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i) })
	}
	all.Wait()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, s *store.Store, kind, id, body string) {
	t.Helper()
	d, err := s.Get(t.Context(), kind, id)
	if err != nil || string(d.Body) != body || d.Kind != kind || d.ID != id {
		t.Errorf("%s %s is %.40q (%s %s), %v; want %.40q", kind, id, d.Body, d.Kind, d.ID, err, body)
	}
}

func wantAbsent(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s: %v, want os.ErrNotExist", what, err)
	}
}
