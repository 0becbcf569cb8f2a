package access_test

import (
	"context"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/session"
)

// counting is a store that counts the documents that are read of it.
type counting struct {
	*store.Store
	read atomic.Int64
}

func (c *counting) Get(ctx context.Context, kind, id string) (store.Doc, error) {
	c.read.Add(1)
	return c.Store.Get(ctx, kind, id)
}

func (c *counting) Page(ctx context.Context, kind string, names []string, after string, limit int) ([]store.Doc, string, error) {
	docs, next, err := c.Store.Page(ctx, kind, names, after, limit)
	c.read.Add(int64(len(docs)) + 1)
	return docs, next, err
}

func (c *counting) All(ctx context.Context, kind, name string) iter.Seq2[store.Doc, error] {
	return func(yield func(store.Doc, error) bool) {
		for d, err := range c.Store.All(ctx, kind, name) {
			c.read.Add(1)
			if !yield(d, err) {
				return
			}
		}
	}
}

// costs is how many documents each call of the same people reads, beside so many hospitals
// whose scanners are called like theirs and whose lists are full.
func costs(t *testing.T, hospitals int) map[string]int64 {
	w := newWorldAt(t, "redis://"+miniredis.RunT(t).Addr())
	s := &counting{Store: w.store.Store}
	var err error
	all := sites{w.agent}
	for i := range hospitals {
		all = append(all, &accesstest.Agents{Site: fmt.Sprintf("H%03d", i), Name: "main", Needed: 1, Now: w.clock})
	}
	w.Access, err = access.New(access.Config{Documents: s, Listing: s, Wholes: w.store, Agents: all, Now: w.clock})
	w.must(err)
	ctx := t.Context()
	for _, x := range all[1:] {
		w.must(w.Announce(ctx, x.Hello("NGH-PETCT1", "NGH-CT2")))
		p := someone("vendor-of-"+x.Site, "e", session.Engineer, x.Site)
		_, err := w.Submit(ctx, p, accesstest.Bytes(accesstest.Request(p.id(), x.Site, "NGH-PETCT1", w.clock())), accesstest.Proof("e"))
		w.must(err)
	}
	mine, _ := w.approved(ada)
	waits, _ := w.submit(ada)
	cost := map[string]int64{}
	for _, x := range []struct {
		what string
		call func() error
	}{
		{"scanners", func() error { _, _, err := w.Assets(ctx, ben, access.Which{}, access.Stretch{}); return err }},
		{"a scanner by name", func() error {
			_, _, err := w.Assets(ctx, ada, access.Which{Name: "NGH-PETCT1"}, access.Stretch{})
			return err
		}},
		{"scanners of a site", func() error { _, _, err := w.Assets(ctx, ada, access.Which{Site: "NGH"}, access.Stretch{}); return err }},
		{"may I, by short name", func() error {
			_, err := w.Access.Access(ctx, ada, session.Target{Asset: "NGH-PETCT1", Service: "recon-ssh"})
			return err
		}},
		{"may I", func() error { _, err := w.Access.Access(ctx, ada, recon); return err }},
		{"what waits", func() error { _, _, err := w.List(ctx, ben, session.Pending, access.Stretch{}); return err }},
		{"all requests", func() error { _, _, err := w.List(ctx, ben, "", access.Stretch{}); return err }},
		{"one's own requests", func() error { _, _, err := w.List(ctx, ada, "", access.Stretch{}); return err }},
		{"a request", func() error { _, err := w.Get(ctx, ben, mine.ID); return err }},
		{"its context", func() error { _, err := w.Context(ctx, ben, waits.ID); return err }},
		{"sessions", func() error { _, _, err := w.Sessions(ctx, ben, false, access.Stretch{}); return err }},
		{"recordings", func() error {
			_, _, err := w.Recordings(ctx, ben, access.Filter{WorkOrder: "x"}, access.Stretch{})
			return err
		}},
		{"engineers", func() error { _, _, err := w.Engineers(ctx, ben, access.Stretch{}); return err }},
		{"a request more", func() error {
			_, err := w.Submit(ctx, adam, accesstest.Bytes(accesstest.Request(adam.id(), "NGH", "NGH-CT2", w.clock())), accesstest.Proof("adam"))
			return err
		}},
	} {
		before := s.read.Load()
		if err := x.call(); err != nil {
			t.Errorf("%s: %v", x.what, err)
		}
		cost[x.what] = s.read.Load() - before
	}
	return cost
}

// What somebody's call costs does not grow with other hospitals' data.
func TestOthersDataCostsNothing(t *testing.T) {
	few, many := costs(t, 10), costs(t, 200)
	for what, n := range few {
		if 2*many[what] > 3*n+4 {
			t.Errorf("%s: %d documents are read beside 10 hospitals, %d beside 200", what, n, many[what])
		}
	}
	t.Logf("ATTACK | 200 other hospitals instead of 10, with scanners of the same names | a call reads no more than 1.5 times as much | by name %d and %d, lists %d and %d | holds",
		few["a scanner by name"], many["a scanner by name"], few["all requests"], many["all requests"])
}
