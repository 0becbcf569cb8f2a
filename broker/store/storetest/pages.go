package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/broker/store"
)

// listed reads everything under names, most at a time.
func listed(t *testing.T, s *store.Store, kind string, most int, names ...string) (ids []string) {
	t.Helper()
	for after := ""; ; {
		docs, next, err := s.Page(t.Context(), kind, names, after, most)
		must(t, err)
		if len(docs) > most {
			t.Fatalf("a page of %d has %d", most, len(docs))
		}
		for _, d := range docs {
			ids = append(ids, d.ID)
		}
		if after = next; next == "" {
			return ids
		}
	}
}

func wantIDs(t *testing.T, s *store.Store, kind, name string, ids ...string) {
	t.Helper()
	for _, most := range []int{1, 2, 3, 1000} {
		if got := listed(t, s, kind, most, name); !slices.Equal(got, ids) {
			t.Errorf("%s in pages of %d: %v, want %v", name, most, got, ids)
		}
	}
	var all []string
	for d, err := range s.All(t.Context(), kind, name) {
		must(t, err)
		all = append(all, d.ID)
	}
	n, last, err := s.Extent(t.Context(), kind, name)
	must(t, err)
	if !slices.Equal(all, ids) || n != int64(len(ids)) || n > 0 && last != ids[n-1] {
		t.Errorf("%s holds %v (%d, to %s), want %v", name, all, n, last, ids)
	}
}

// put writes a document and says where it stands.
func put(t *testing.T, s *store.Store, id, body string, under ...store.Under) {
	t.Helper()
	must(t, s.Put(t.Context(), "thing", id, func([]byte) ([]byte, []store.Under, error) { return []byte(body), under, nil }))
}

func pages(t *testing.T, s *store.Store) {
	ctx := t.Context()
	for i := range 6 {
		must(t, s.Create(ctx, "thing", fmt.Sprint(i), nil, 0, fmt.Sprintf("rest:%d", i%2), "all"))
	}
	must(t, s.Delete(ctx, "thing", "4"))
	must(t, s.Update(ctx, "thing", "1", func([]byte) ([]byte, error) { return []byte("changed"), nil }))
	for range 2 { // the second time without the entry of what is gone
		listed(t, s, "thing", 1000, "rest:0", "all")
		wantIDs(t, s, "thing", "rest:0", "2", "0")
		wantIDs(t, s, "thing", "rest:1", "5", "3", "1")
		wantIDs(t, s, "thing", "all", "5", "3", "2", "1", "0")
		wantIDs(t, s, "thing", "unknown")
	}
	if docs, next, err := s.Page(ctx, "thing", nil, "", 0); err != nil || len(docs) != 0 || next != "" {
		t.Errorf("under no name: %v, %q, %v", docs, next, err)
	}
	must(t, s.Create(ctx, "thing", "4", nil, 0, "all")) // made again, it is not where it was
	wantIDs(t, s, "thing", "rest:0", "2", "0")
	wantIDs(t, s, "thing", "all", "4", "5", "3", "2", "1", "0")
}

func moves(t *testing.T, s *store.Store) {
	ctx := t.Context()
	put(t, s, "a", "1", store.Names("open", "every")...)
	put(t, s, "b", "1", store.Names("open", "every")...)
	put(t, s, "a", "2", store.Names("closed", "every")...)
	wantIDs(t, s, "thing", "open", "b")
	wantIDs(t, s, "thing", "closed", "a")
	wantIDs(t, s, "thing", "every", "b", "a")
	no := errors.New("no")
	if err := s.Put(ctx, "thing", "a", func([]byte) ([]byte, []store.Under, error) { return nil, nil, no }); err != no {
		t.Errorf("Put = %v", err)
	}
	must(t, s.Update(ctx, "thing", "a", func([]byte) ([]byte, error) { return []byte("3"), nil })) // stays where it is
	wantIDs(t, s, "thing", "closed", "a")
	put(t, s, "a", "3") // the same, under no name
	wantIDs(t, s, "thing", "closed")
	want(t, s, "thing", "a", "3")
}

func places(t *testing.T, s *store.Store) {
	put(t, s, "a", "1", store.Names("n")...)
	put(t, s, "b", "1", store.Names("n")...)
	put(t, s, "a", "2", store.Names("n")...)
	wantIDs(t, s, "thing", "n", "b", "a")
	put(t, s, "a", "2")
	put(t, s, "a", "2", store.Names("n")...) // it comes anew
	wantIDs(t, s, "thing", "n", "a", "b")
	for id, place := range map[string]uint64{"x": 3, "y": 2, "z": 10} {
		put(t, s, id, "", store.Under{Name: "given", Place: place})
	}
	wantIDs(t, s, "thing", "given", "z", "x", "y")
	put(t, s, "z", "", store.Under{Name: "given", Place: 1})
	wantIDs(t, s, "thing", "given", "x", "y", "z")
	err := s.Put(t.Context(), "thing", "far", func([]byte) ([]byte, []store.Under, error) {
		return nil, []store.Under{{Name: "given", Place: store.MaxPlace + 1}}, nil
	})
	if err == nil {
		t.Error("a place beyond all others was given")
	}
}

func merged(t *testing.T, s *store.Store) {
	put(t, s, "a", "", store.Names("mine", "ours")...)
	put(t, s, "b", "", store.Names("ours")...)
	put(t, s, "c", "", store.Names("theirs")...)
	put(t, s, "d", "", store.Names("mine")...)
	put(t, s, "b", "", store.Names("ours", "mine")...) // its places differ
	for most := 1; most < 6; most++ {
		if got := listed(t, s, "thing", most, "mine", "ours", "theirs"); !slices.Equal(got, []string{"d", "c", "b", "a"}) {
			t.Errorf("in pages of %d: %v", most, got)
		}
	}
}

// Whatever is made, moved away and deleted while somebody pages, they see what stands
// there all the while exactly once.
func pagesHold(t *testing.T, s *store.Store) {
	const n = 150
	for i := range n {
		put(t, s, fmt.Sprintf("stays-%03d", i), "", store.Names("n")...)
		if i%3 == 0 {
			put(t, s, fmt.Sprintf("leaves-%03d", i), "", store.Names("n")...)
		}
	}
	seen := map[string]int{}
	for after, step := "", 0; ; step++ {
		docs, next, err := s.Page(t.Context(), "thing", []string{"first", "n"}, after, 7)
		must(t, err)
		for _, d := range docs {
			seen[d.ID]++
		}
		if after = next; next == "" {
			break
		}
		put(t, s, fmt.Sprintf("new-%03d", step), "", store.Names("n")...)
		put(t, s, fmt.Sprintf("leaves-%03d", step*3), "gone")
		put(t, s, docs[len(docs)-1].ID, "changed", store.Names("n")...) // the cursor's own
		put(t, s, fmt.Sprintf("stays-%03d", step), "", store.Names("n", "first")...)
		if gone := fmt.Sprintf("leaves-%03d", n-3-step*3); step%2 == 0 && step*3 < n {
			must(t, s.Delete(t.Context(), "thing", gone))
		}
	}
	for i := range n {
		if id := fmt.Sprintf("stays-%03d", i); seen[id] != 1 {
			t.Errorf("%s was seen %d times", id, seen[id])
		}
	}
	for id, times := range seen {
		if times > 1 {
			t.Errorf("%s was seen %d times", id, times)
		}
	}
}

// indexesAgree lets several writers change documents at random, and then compares each
// index with what a look at every document says.
func indexesAgree(t *testing.T, s *store.Store) {
	ctx, names := t.Context(), []string{"a", "b", "c", "d"}
	ids := []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}
	together(6, func(writer int) {
		r := rand.New(rand.NewPCG(7, uint64(writer)))
		for range 30 {
			id, body := ids[r.IntN(len(ids))], ""
			var under []store.Under
			for _, name := range names {
				if r.IntN(2) == 0 {
					under, body = append(under, store.Under{Name: name, Place: uint64(r.IntN(3))}), body+name
				}
			}
			var err error
			switch r.IntN(8) {
			case 0:
				err = s.Delete(ctx, "thing", id)
			case 1:
				if err = s.Create(ctx, "thing", id, []byte("a"), 0, "a"); errors.Is(err, store.ErrExists) {
					err = nil
				}
			default:
				err = s.Put(ctx, "thing", id, func([]byte) ([]byte, []store.Under, error) { return []byte(body), under, nil })
			}
			if err != nil {
				t.Errorf("a writer: %v", err)
			}
		}
	})
	for _, name := range names {
		var truth []string
		for _, id := range ids {
			d, err := s.Get(ctx, "thing", id)
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			must(t, err)
			if strings.Contains(string(d.Body), name) {
				truth = append(truth, id)
			}
		}
		listed(t, s, "thing", 1000, name) // drops what is gone
		n, _, err := s.Extent(ctx, "thing", name)
		must(t, err)
		got := listed(t, s, "thing", 3, name)
		slices.Sort(got)
		if !slices.Equal(got, truth) || n != int64(len(truth)) {
			t.Errorf("%s lists %v and counts %d; the documents say %v", name, got, n, truth)
		}
	}
}

func secondBroker(t *testing.T, s, other *store.Store) {
	put(t, s, "a", "1", store.Names("n", "owed")...)
	put(t, s, "b", "1", store.Names("n")...)
	wantIDs(t, other, "thing", "n", "b", "a")
	put(t, other, "a", "2", store.Names("n")...)
	wantIDs(t, s, "thing", "owed")
	wantIDs(t, s, "thing", "n", "b", "a")
}

func puts(t *testing.T, s *store.Store) {
	together(8, func(int) {
		for range 5 {
			err := s.Put(t.Context(), "thing", "a", func(old []byte) ([]byte, []store.Under, error) {
				if old == nil {
					old = []byte{}
				}
				return append(old, 'x'), store.Names("n"), nil
			})
			if err != nil {
				t.Errorf("Put: %v", err)
			}
		}
	})
	want(t, s, "thing", "a", strings.Repeat("x", 40))
	wantIDs(t, s, "thing", "n", "a")
}

func badCursors(t *testing.T, s *store.Store) {
	put(t, s, "a", "", store.Names("n")...)
	for _, after := range []string{"x", "-", "+", "[", strings.Repeat("1", 16), strings.Repeat("1", 16) + "a\n", strings.Repeat("1", 15) + "xa",
		strings.Repeat("1", 16) + strings.Repeat("a", 257)} {
		if _, _, err := s.Page(t.Context(), "thing", []string{"n"}, after, 1); err == nil {
			t.Errorf("%q was taken", after)
		}
	}
	if docs, next, err := s.Page(t.Context(), "thing", []string{"n"}, strings.Repeat("0", 16)+"a", 1); err != nil || len(docs) != 0 || next != "" {
		t.Errorf("behind the end: %v, %q, %v", docs, next, err)
	}
}
