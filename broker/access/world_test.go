package access_test

import (
	"context"
	"errors"
	"iter"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/broker/store/storetest"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/link"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// person is somebody who signed in.
type person struct {
	who   session.Person
	roles []session.Role
	sites []string
}

func (p person) Who() session.Person        { return p.who }
func (p person) Is(r session.Role) bool     { return slices.Contains(p.roles, r) }
func (p person) At(site string) bool        { return slices.Contains(p.sites, site) }
func (p person) Places() []string           { return p.sites }
func (p person) id() session.Identity       { return p.who.Identity }
func (p person) with(r session.Role) person { p.roles = append(slices.Clone(p.roles), r); return p }

func someone(iss, sub string, role session.Role, sites ...string) person {
	return person{session.Person{Identity: session.Identity{Iss: "https://" + iss, Sub: sub}, Email: sub + "@" + iss}, []session.Role{role}, sites}
}

var (
	ada      = someone("vendor", "ada", session.Engineer, "NGH", "XYZ")
	adam     = someone("vendor", "adam", session.Engineer, "NGH", "XYZ")
	ben      = someone("hospital", "ben", session.Approver, "NGH")
	bea      = someone("hospital", "bea", session.Approver, "NGH")
	audrey   = someone("hospital", "audrey", session.Auditor, "NGH")
	foreign  = someone("elsewhere", "fay", session.Approver, "XYZ")
	foreignA = someone("elsewhere", "al", session.Auditor, "XYZ")
)

// world is an Access on a real store with one hospital's agent.
type world struct {
	*access.Access
	t     *testing.T
	agent *accesstest.Agents
	store *faulty
	now   atomic.Int64
}

func newWorld(t *testing.T) *world { return newWorldAt(t, "redis://"+miniredis.RunT(t).Addr()) }

func newWorldAt(t *testing.T, url string) *world {
	w := &world{t: t}
	w.now.Store(start.UnixNano())
	t.Cleanup(func() { storetest.Described(t, url) })
	s, err := store.Open(t.Context(), store.Config{URL: url, Ephemeral: true})
	w.must(err)
	t.Cleanup(func() { s.Close() })
	w.store = &faulty{Store: s}
	w.agent = &accesstest.Agents{Site: "NGH", Name: "main", Needed: 1, Now: w.clock}
	w.Access, err = access.New(access.Config{Documents: w.store, Listing: w.store, Wholes: w.store, Agents: w.agent, Now: w.clock})
	w.must(err)
	w.must(w.Announce(t.Context(), w.agent.Hello("NGH-PETCT1", "NGH-CT2")))
	return w
}

// recon is the service that most tests ask for.
var recon = session.Target{Site: "NGH", Asset: "NGH-PETCT1", Service: "recon-ssh"}

// Route is the way to an ssh host name.
func (w *world) Route(ctx context.Context, engineer session.Identity, host string) (access.Route, error) {
	of, err := session.ParseHost(host)
	if err != nil {
		return access.Route{}, err
	}
	return w.Access.Route(ctx, engineer, of)
}

func (w *world) clock() time.Time        { return time.Unix(0, w.now.Load()) }
func (w *world) advance(d time.Duration) { w.now.Add(int64(d)) }

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// submit asks as an engineer and returns the request and its bytes.
func (w *world) submit(p person) (access.Request, []byte) {
	w.t.Helper()
	raw := accesstest.Bytes(accesstest.Request(p.id(), "NGH", "NGH-PETCT1", w.clock()))
	r, err := w.Submit(w.t.Context(), p, raw, accesstest.Proof(p.who.Sub))
	w.must(err)
	return r, raw
}

// approved is a request that ben approved, with its session's id.
func (w *world) approved(p person) (access.Request, string) {
	w.t.Helper()
	r, raw := w.submit(p)
	r, admitted, err := w.Approve(w.t.Context(), ben, r.ID, accesstest.Bytes(w.agent.Grant(raw)), accesstest.Proof("ben"))
	w.must(err)
	if !admitted || r.Status != session.Approved {
		w.t.Fatalf("approved, but %v %s", admitted, r.Status)
	}
	return r, sid(r)
}

// sid is the session of a request, empty before it is granted.
func sid(r access.Request) string {
	if r.Grant == nil {
		return ""
	}
	return *r.Grant
}

// scanners is every page of the scanners that somebody may know of, by
// site and name.
func scanners(ctx context.Context, a *access.Access, c access.Caller, which access.Which) (all []access.Asset, err error) {
	for part := (access.Stretch{Limit: 500}); ; {
		some, next, err := a.Assets(ctx, c, which, part)
		if all = append(all, some...); err != nil || next == "" {
			slices.SortFunc(all, func(x, y access.Asset) int { return strings.Compare(x.Site+"\n"+x.Name, y.Site+"\n"+y.Name) })
			return all, err
		}
		part.After = next
	}
}

// gid is the same as an id.
func gid(r access.Request) session.ID {
	id, _ := session.ParseSessionID(sid(r))
	return id
}

// doc is a request's document.
func (w *world) doc(r access.Request) grant.Request {
	w.t.Helper()
	d, err := w.Documents(w.t.Context(), ben, r.ID)
	w.must(err)
	doc, err := grant.ParseRequest(d.Request)
	w.must(err)
	return doc
}

// why is the reason of a session's end, empty while it lives.
func why(s access.Session) session.EndReason {
	if s.Reason == nil {
		return ""
	}
	return *s.Reason
}

// opened is the report of a session that just began.
func (w *world) report(r access.Request, seq uint64) link.SessionReport {
	return link.SessionReport{Session: sid(r), Request: r.ID, Seq: seq, Asset: r.Asset,
		Service: "recon-ssh", Opened: w.clock(), Deadline: w.clock().Add(30 * time.Minute)}
}

// wants checks an error's kind, and that a person can read it.
func (w *world) wants(err error, kind session.Kind, words string) {
	w.t.Helper()
	var e *session.Error
	if !errors.As(err, &e) {
		w.t.Errorf("error = %v, want one of kind %s", err, kind)
		return
	}
	if e.Kind != kind || !strings.Contains(e.Message, words) {
		w.t.Errorf("error = %s: %s, want %s: ...%s...", e.Kind, e.Message, kind, words)
	}
	if e.Next == "" || !strings.HasSuffix(e.Message, ".") || strings.Contains(e.Message, "\n") {
		w.t.Errorf("nobody can act on %q, next %q", e.Message, e.Next)
	}
}

// faulty is a store whose writes can fail both ways.
type faulty struct {
	*store.Store
	fail      func(verb, kind string) accesstest.Failure
	catalogue atomic.Int64 // documents of it that were read
	requests  atomic.Int64 // and of requests
}

func (f *faulty) around(verb, kind string, do func() error) error {
	how := accesstest.Works
	if f.fail != nil {
		how = f.fail(verb, kind)
	}
	down := session.Errorf(session.Unreachable, "the store did not answer")
	if how == accesstest.NotDone {
		return down
	}
	if err := do(); err != nil || how == accesstest.Works {
		return err
	}
	return down
}

func (f *faulty) Create(ctx context.Context, kind, id string, body []byte, ttl time.Duration, under ...string) error {
	return f.around("create", kind, func() error { return f.Store.Create(ctx, kind, id, body, ttl, under...) })
}

func (f *faulty) Expire(ctx context.Context, kind, id string, ttl time.Duration) error {
	return f.around("expire", kind, func() error { return f.Store.Expire(ctx, kind, id, ttl) })
}

func (f *faulty) UpdateWhole(ctx context.Context, kind, id string, edit func([]byte) (store.Whole, error)) error {
	return f.around("update", kind, func() error { return f.Store.UpdateWhole(ctx, kind, id, edit) })
}

func (f *faulty) Get(ctx context.Context, kind, id string) (store.Doc, error) {
	f.seen(kind)
	return f.Store.Get(ctx, kind, id)
}

func (f *faulty) Page(ctx context.Context, kind string, names []string, after string, limit int) ([]store.Doc, string, error) {
	docs, next, err := f.Store.Page(ctx, kind, names, after, limit)
	for range docs {
		f.seen(kind)
	}
	return docs, next, err
}

func (f *faulty) All(ctx context.Context, kind, name string) iter.Seq2[store.Doc, error] {
	return func(yield func(store.Doc, error) bool) {
		for d, err := range f.Store.All(ctx, kind, name) {
			if f.seen(kind); !yield(d, err) {
				return
			}
		}
	}
}

// seen counts the documents that were read.
func (f *faulty) seen(kind string) {
	switch kind {
	case "catalogue":
		f.catalogue.Add(1)
	case "request":
		f.requests.Add(1)
	}
}

func (f *faulty) Put(ctx context.Context, kind, id string, edit func([]byte) ([]byte, []store.Under, error)) error {
	return f.around("put", kind, func() error { return f.Store.Put(ctx, kind, id, edit) })
}

// nowhere is a store that has nothing and takes nothing.
type nowhere struct{}

func (nowhere) Create(context.Context, string, string, []byte, time.Duration, ...string) error {
	return store.ErrExists
}
func (nowhere) Get(context.Context, string, string) (store.Doc, error) {
	return store.Doc{}, os.ErrNotExist
}
func (nowhere) Expire(context.Context, string, string, time.Duration) error {
	return os.ErrNotExist
}
func (nowhere) UpdateWhole(context.Context, string, string, func([]byte) (store.Whole, error)) error {
	return os.ErrNotExist
}
func (nowhere) Put(context.Context, string, string, func([]byte) ([]byte, []store.Under, error)) error {
	return os.ErrNotExist
}
func (nowhere) Page(context.Context, string, []string, string, int) ([]store.Doc, string, error) {
	return nil, "", nil
}
func (nowhere) All(context.Context, string, string) iter.Seq2[store.Doc, error] {
	return func(func(store.Doc, error) bool) {}
}
func (nowhere) Extent(context.Context, string, string) (int64, string, error) { return 0, "", nil }
func (nowhere) Wait(context.Context, string, string, uint64) (store.Doc, error) {
	return store.Doc{}, os.ErrNotExist
}
