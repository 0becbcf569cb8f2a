package storetest

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/broker/store"
)

// followed are the kinds that the tests of following look at.
func followed() []string { return []string{"thing", "other"} }

func follow(t *testing.T, s *store.Store, after string) *store.Follower {
	t.Helper()
	f, err := s.Follow(t.Context(), after, followed()...)
	must(t, err)
	t.Cleanup(f.Close)
	return f
}

// next is the news that has to come.
func next(t *testing.T, f *store.Follower) store.News {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	n, err := f.Next(ctx)
	must(t, err)
	return n
}

// until collects what a follower hears up to a document that is changed last.
func until(t *testing.T, f *store.Follower, kind, id string) (heard []string, at string, gap bool) {
	t.Helper()
	for {
		n := next(t, f)
		gap = gap || n.Gap
		for _, c := range n.Changes {
			heard = append(heard, c.Kind+" "+c.ID)
		}
		if slices.Contains(heard, kind+" "+id) {
			return heard, n.At, gap
		}
	}
}

func touch(t *testing.T, s *store.Store, kind, id string) {
	t.Helper()
	must(t, s.Create(t.Context(), kind, id, []byte("x"), 0))
}

func follows(t *testing.T, s *store.Store) {
	ctx := t.Context()
	touch(t, s, "thing", "before")
	f := follow(t, s, "")
	touch(t, s, "foreign", "a")
	touch(t, s, "thing", "a")
	must(t, s.Update(ctx, "thing", "a", func([]byte) ([]byte, error) { return []byte("y"), nil }))
	must(t, s.Delete(ctx, "thing", "a"))
	touch(t, s, "thing", "last")
	heard, _, gap := until(t, f, "thing", "last")
	for _, h := range heard {
		if h != "thing a" && h != "thing last" {
			t.Errorf("heard of %s", h)
		}
	}
	if gap || heard[0] != "thing a" {
		t.Errorf("heard %v, gap %v", heard, gap)
	}
	touch(t, s, "other", "a")
	if heard, _, _ := until(t, f, "other", "a"); len(heard) != 1 {
		t.Errorf("heard %v", heard)
	}
	short, cancel := context.WithCancel(ctx)
	cancel()
	if n, err := f.Next(short); err == nil {
		t.Errorf("after the end of its context: %v", n)
	}
}

// A follower that comes back at any place hears of everything since, once.
func resumes(t *testing.T, s *store.Store) {
	f := follow(t, s, "")
	places := []string{f.At()}
	for i := range 10 {
		id := fmt.Sprint(i)
		kind := followed()[i%2]
		touch(t, s, kind, id)
		_, at, _ := until(t, f, kind, id)
		places = append(places, at)
	}
	f.Close()
	for i, place := range places {
		back := follow(t, s, place)
		id := fmt.Sprint("back", i)
		touch(t, s, "thing", id)
		heard, _, gap := until(t, back, "thing", id)
		want := 10 - i + i + 1 // the rest of the ten, and one for each that came back
		if gap || len(heard) != want {
			t.Errorf("from place %d: gap %v, heard %v", i, gap, heard)
		}
		for j := i; j < 10; j++ {
			if !slices.Contains(heard, fmt.Sprintf("%s %d", followed()[j%2], j)) {
				t.Errorf("from place %d: missed %d", i, j)
			}
		}
		back.Close()
	}
}

// What was written while a follower joins is told by the catching up or by the feed.
func joinsInTime(t *testing.T, s *store.Store) {
	f := follow(t, s, "")
	place := f.At()
	written := make(chan error, 1)
	go func() {
		for i := range 200 {
			if err := s.Create(t.Context(), "thing", fmt.Sprint(i), nil, 0); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	for range 20 {
		late := follow(t, s, place)
		heard, _, gap := until(t, late, "thing", "199")
		slices.Sort(heard)
		if heard = slices.Compact(heard); gap || len(heard) != 200 {
			t.Errorf("gap %v, heard of %d changes", gap, len(heard))
		}
		late.Close()
	}
	must(t, <-written)
}

// A place that is trimmed, invented or of another time is answered with a gap.
func gaps(t *testing.T, s *store.Store) {
	ctx := t.Context()
	f := follow(t, s, "")
	start := f.At()
	touch(t, s, "thing", "a")
	_, old, _ := until(t, f, "thing", "a")
	for i := range 1400 {
		must(t, s.Update(ctx, "thing", "a", func([]byte) ([]byte, error) { return fmt.Append(nil, i), nil }))
	}
	touch(t, s, "thing", "caught up")
	until(t, f, "thing", "caught up") // the feed is as far as the writers
	enc := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for name, place := range map[string]string{
		"before the first change": start, "trimmed": old, "nonsense": "x", "no base64": "%%%", "one place": enc("0-0"), "three": enc("0-0 0-0 0-0"),
		"the future": enc("9999999999999-0 0-0"), "a wildcard": enc("- +"), "negative": enc("-1-0 0-0"), "long": strings.Repeat("A", 5000),
		"a range": enc("(1-0 0-0"), "leading zeros": enc("00-0 0-0"), "empty places": enc(" "), "another store's": enc("1700000000000-0 0-0"),
	} {
		back := follow(t, s, place)
		if n := next(t, back); !n.Gap {
			t.Errorf("%s: %+v", name, n)
		}
		touch(t, s, "other", "after "+name)
		if _, _, gap := until(t, back, "other", "after "+name); gap {
			t.Errorf("%s: a second gap", name)
		}
		back.Close()
	}
}

// Whoever does not look hears of a document once, and of a gap when it is too much.
func slowFollower(t *testing.T, s *store.Store) {
	ctx := t.Context()
	f, watch := follow(t, s, ""), follow(t, s, "")
	touch(t, s, "thing", "a")
	for i := range 50 {
		must(t, s.Update(ctx, "thing", "a", func([]byte) ([]byte, error) { return fmt.Append(nil, i), nil }))
	}
	touch(t, s, "thing", "last")
	until(t, watch, "thing", "last")
	if n := next(t, f); n.Gap || len(n.Changes) != 2 {
		t.Errorf("heard %v", n)
	}
}

func badKinds(t *testing.T, s *store.Store) {
	for _, kinds := range [][]string{nil, {"Thing"}, {"th}ing"}, slices.Repeat([]string{"thing"}, 9)} {
		if f, err := s.Follow(t.Context(), "", kinds...); err == nil {
			f.Close()
			t.Errorf("follows %v", kinds)
		}
	}
}
