package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/session"
)

func part(id, body string, under ...string) store.Part {
	return store.Part{ID: id, Body: []byte(body), Under: under}
}

func wholes(t *testing.T, s *store.Store) {
	ctx := t.Context()
	become := func(id string, w store.Whole) error {
		return s.UpdateWhole(ctx, "thing", id, func([]byte) (store.Whole, error) { return w, nil })
	}
	wantAbsent(t, "UpdateWhole", become("x", store.Whole{Body: []byte("1"), Put: []store.Part{part("x/a", "1")}}))
	_, err := s.Get(ctx, "thing", "x/a")
	wantAbsent(t, "the part of nothing", err)
	must(t, s.Create(ctx, "thing", "x", []byte("0"), 0))
	must(t, s.Create(ctx, "thing", "y", []byte("0"), 0))
	must(t, become("y", store.Whole{Body: []byte("1"), Put: []store.Part{part("y/a", "other", "of y", "named a")}}))
	must(t, become("x", store.Whole{Body: []byte("1"), Put: []store.Part{part("x/a", "1", "of x", "named a"), part("x/b", "1", "of x")}}))
	under := func(name, ids string) {
		t.Helper()
		wantIDs(t, s, "thing", name, strings.Fields(ids)...)
	}
	under("of x", "x/b x/a")
	under("named a", "x/a y/a")

	f := follow(t, s, "")
	before, err := s.Get(ctx, "thing", "x")
	must(t, err)
	must(t, become("x", store.Whole{Body: []byte("1"), Put: []store.Part{part("x/a", "1", "of x", "named a"), part("x/b", "1", "of x")}}))
	if after, err := s.Get(ctx, "thing", "x"); err != nil || after.Version != before.Version {
		t.Errorf("nothing changed and there is a version %d, %v", after.Version, err)
	}
	must(t, become("x", store.Whole{Body: []byte("1"), Put: []store.Part{part("x/b", "2", "of x")}, Drop: []store.Part{part("x/a", "", "of x", "named a"), part("x/none", "", "of x")}}))
	if heard, _, _ := until(t, f, "thing", "x"); strings.Join(heard, ", ") != "thing x/b, thing x/a, thing x" {
		t.Errorf("heard %v", heard)
	}
	want(t, s, "thing", "x/b", "2")
	want(t, s, "thing", "y/a", "other")
	_, err = s.Get(ctx, "thing", "x/a")
	wantAbsent(t, "a part that was dropped", err)
	under("of x", "x/b")
	under("named a", "y/a")

	no := errors.New("no")
	if err := s.UpdateWhole(ctx, "thing", "x", func([]byte) (store.Whole, error) { return store.Whole{}, no }); !errors.Is(err, no) {
		t.Error(err)
	}
	for _, bad := range []store.Whole{
		{Body: make([]byte, store.MaxBody+1)},
		{Body: []byte("3"), Put: []store.Part{{ID: "x/c", Body: make([]byte, store.MaxBody+1)}}},
		{Body: []byte("3"), Put: []store.Part{part("", "1")}},
		{Body: []byte("3"), Put: []store.Part{part("x/c", "1", "a\nb")}},
		{Body: []byte("3"), Drop: []store.Part{part("x/\x00", "")}},
	} {
		if err := become("x", bad); session.KindOf(err) != session.Internal {
			t.Errorf("%v", err)
		}
	}
	want(t, s, "thing", "x", "1")
}

// Rivals each add a part; nobody's is lost and the document knows them all.
func noLostWhole(t *testing.T, s *store.Store) {
	must(t, s.Create(t.Context(), "thing", "x", nil, 0))
	const rivals = 8
	together(rivals, func(i int) {
		err := s.UpdateWhole(t.Context(), "thing", "x", func(old []byte) (store.Whole, error) {
			return store.Whole{Body: append(old, byte('a'+i)), Put: []store.Part{part(fmt.Sprintf("x/%d", i), string(old), "of x")}}, nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	d, err := s.Get(t.Context(), "thing", "x")
	must(t, err)
	docs, _, err := s.Page(t.Context(), "thing", []string{"of x"}, "", 0)
	must(t, err)
	if len(d.Body) != rivals || len(docs) != rivals {
		t.Errorf("%q and %d parts", d.Body, len(docs))
	}
	for i, d := range docs { // the newest first: each saw all that came before
		if len(d.Body) != rivals-1-i {
			t.Errorf("part %d was made after %q", i, d.Body)
		}
	}
}
