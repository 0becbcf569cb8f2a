package access_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"golang.org/x/sync/errgroup"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
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

// Of a site's decisions each is read once, however often something changes there, and a change
// of one site has nothing of the others read again.
func TestADecisionIsReadOnce(t *testing.T) {
	w := newWorld(t)
	s := &counting{Store: w.store.Store}
	var err error
	w.Access, err = access.New(access.Config{Documents: s, Listing: s, Wholes: w.store, Agents: w.agent, Now: w.clock})
	w.must(err)
	const before = 60
	for range before {
		w.decided(ada, "NGH-PETCT1", time.Second, false)
	}
	cost := func() int64 {
		from := s.read.Load()
		w.asset(ben, "NGH-PETCT1")
		return s.read.Load() - from
	}
	if n := cost(); n < before {
		t.Fatalf("%d documents are read at first", n)
	}
	for range 5 {
		w.decided(ada, "NGH-PETCT1", 3*time.Second, false)
		if n := cost(); n > 2*8+8 {
			t.Errorf("%d documents are read after one decision more", n)
		}
	}
	for range 60 {
		w.decided(ada, "NGH-CT2", 7*time.Second, false) // nobody looks meanwhile
	}
	if a := w.asset(ben, "NGH-CT2"); a.Median != 7 || a.Decided != 50 {
		t.Errorf("%d s over %d", a.Median, a.Decided)
	}
	if a := w.asset(ben, "NGH-PETCT1"); a.Median != 1 || a.Decided != 50 {
		t.Errorf("%d s over %d", a.Median, a.Decided)
	}
}

// size is how much the figures are about: a little of it usually, all of it where a release
// is proven, and only there somebody looks at the clock.
func size(t *testing.T) (hospitals, scanners, recordings int, within time.Duration) {
	t.Helper()
	if os.Getenv("SALLYPORT_PROVE") == "" {
		return 5, 5, 300, time.Minute
	}
	return 200, 50, 20000, time.Second
}

// many copies a recording, so that there are n.
func (w *world) many(v string, n int) {
	w.t.Helper()
	id, err := parseRecording(v)
	w.must(err)
	d, err := w.store.Get(w.t.Context(), "recording", id.Text())
	w.must(err)
	var copying errgroup.Group
	copying.SetLimit(8)
	for range n - 1 {
		copying.Go(func() error {
			other := session.NewID()
			body := bytes.ReplaceAll(d.Body, []byte(id.Recording()), []byte(other.Recording()))
			return w.store.Store.Put(w.t.Context(), "recording", other.Text(), func([]byte) ([]byte, []store.Under, error) {
				names := make([]string, 0, len(d.Under))
				for _, u := range d.Under {
					names = append(names, u.Name)
				}
				return body, store.Names(names...), nil
			})
		})
	}
	w.must(copying.Wait())
}

// A page of all scanners of 200 hospitals, and each call of a search in 20,000 recordings that
// finds nothing, take less than a second, and nobody else waits for them.
func TestCallsBesideMuch(t *testing.T) {
	hospitals, scanners, recorded, within := size(t)
	w := newWorldAt(t, realServer(t))
	all := sites{w.agent}
	names := make([]string, 0, scanners)
	for i := range scanners {
		names = append(names, fmt.Sprintf("CT%d", i))
	}
	vendor := someone("vendor", "eve", session.Engineer, "NGH")
	for i := range hospitals {
		x := &accesstest.Agents{Site: fmt.Sprintf("H%03d", i), Name: "main", Needed: 1, Now: w.clock}
		all, vendor.sites = append(all, x), append(vendor.sites, x.Site)
		w.must(w.Announce(t.Context(), x.Hello(names...)))
	}
	var err error
	w.Access, err = access.New(access.Config{Documents: w.store, Listing: w.store, Wholes: w.store, Agents: all, Now: w.clock})
	w.must(err)
	mine, _ := w.approved(ada)
	rep := w.report(mine, 1)
	v := sessionRecording()
	rep.Recordings = []link.RecordingReport{{Recording: v, Service: "recon-ssh", Protocol: session.SSH, Started: w.clock()}}
	w.must(w.ReportSession(t.Context(), "NGH", "main", rep))
	w.many(v, recorded)

	took := func(what string, call func() error) time.Duration {
		t.Helper()
		began := time.Now()
		w.must(call())
		d := time.Since(began)
		if d > within {
			t.Errorf("%s took %v", what, d)
		}
		return d
	}
	page := func(after string) (next string, err error) {
		_, next, err = w.Assets(t.Context(), vendor, access.Which{}, access.Stretch{Limit: 500, After: after})
		return next, err
	}
	var first, pages time.Duration
	for after, n := "", 0; n == 0 || after != ""; n++ {
		d := took("a page of scanners", func() (err error) { after, err = page(after); return err })
		first, pages = max(first, d), pages+d
	}
	search := func(who person) (read int, err error) {
		for after := ""; ; read++ {
			found, next, err := w.Recordings(t.Context(), who, access.Filter{WorkOrder: "no such"}, access.Stretch{After: after})
			if after = next; err != nil || next == "" || len(found) > 0 {
				return read + 1, err
			}
		}
	}
	began := time.Now()
	calls, err := search(audrey)
	w.must(err)
	searched := time.Since(began)
	if each := searched / time.Duration(calls); each > within {
		t.Errorf("a call of a search took %v", each)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var searching sync.WaitGroup
	for range 4 {
		searching.Go(func() {
			for ctx.Err() == nil {
				if _, err := search(audrey); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	var beside time.Duration
	for range 20 {
		beside = max(beside, took("a request beside searches", func() error { _, err := w.Get(t.Context(), ben, mine.ID); return err }))
	}
	stop()
	searching.Wait()
	t.Logf("%d scanners: a page %v at the most, all %v; a search in %d recordings %v in %d calls; another's call beside four of them %v",
		hospitals*scanners, first.Round(time.Millisecond), pages.Round(time.Millisecond), recorded, searched.Round(time.Millisecond), calls, beside.Round(time.Microsecond))
	t.Logf("ATTACK | searches in %d recordings, beside %d scanners | each call <= 1 s, and others wait for none | %v and %v | holds", recorded, hospitals*scanners, searched.Round(time.Millisecond), beside.Round(time.Millisecond))
}
