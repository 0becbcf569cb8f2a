package access_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/session"
)

// ear is a notifier that remembers, and looks whether the fact is stored already.
type ear struct {
	w     *world
	mu    sync.Mutex
	heard []access.Notice
	hangs bool
}

func (e *ear) Notify(ctx context.Context, n access.Notice) {
	if e.hangs {
		<-ctx.Done()
		return
	}
	stored, err := e.w.Get(ctx, audrey, n.Request.ID)
	if err != nil || stored.Status != n.Request.Status || (stored.Proposal == nil) != (n.Request.Proposal == nil) {
		e.w.t.Errorf("told of %s before it is stored: %+v, %v", n.What, stored, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, n)
}

// Missed says that nobody was written to, as an outbox could.
func (e *ear) Missed(_ context.Context, request session.ID) ([]access.Unwritten, error) {
	return []access.Unwritten{
		{To: "scanner-approvers@northfield.example", Who: access.ToApprovers, Why: "the mail server refused\u202e it", At: e.w.clock()},
		{To: "ada@vendor.example", Who: access.ToEngineer, Why: "the mail server refused it", At: e.w.clock()},
	}, nil
}

// The vendor's people learn that an approver got no mail, and not at which address.
func TestWhoWasNotWrittenToIsSaid(t *testing.T) {
	w, _ := newNotifiedWorld(t)
	r, _ := w.submit(ada)
	for _, c := range []struct {
		who     person
		address string
	}{{ada, ""}, {ben, "scanner-approvers@northfield.example"}} {
		v, err := w.Get(t.Context(), c.who, r.ID)
		if address := c.address; err != nil || len(v.Unwritten) != 2 || v.Unwritten[0].To != address || v.Unwritten[0].Why != "the mail server refused\ufffd it" || v.Unwritten[1].To != "ada@vendor.example" {
			t.Errorf("%v, %v", v.Unwritten, err)
		}
	}
}

// last takes what was heard since and wants exactly one notice of a kind.
func (e *ear) last(what string) access.Notice {
	e.w.t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	heard := e.heard
	e.heard = nil
	if len(heard) != 1 || heard[0].What != what {
		e.w.t.Fatalf("heard %+v, want %s", heard, what)
	}
	return heard[0]
}

func (e *ear) nothing() {
	e.w.t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.heard) != 0 {
		e.w.t.Errorf("heard %+v", e.heard)
	}
}

func newNotifiedWorld(t *testing.T) (*world, *ear) {
	w := newWorld(t)
	e := &ear{w: w}
	var err error
	w.Access, err = access.New(access.Config{Documents: w.store, Listing: w.store, Wholes: w.store, Agents: w.agent, Now: w.clock, Notices: e})
	w.must(err)
	return w, e
}

// Each step that somebody waits for is told once it is stored, and nothing else is.
func TestPeopleAreTold(t *testing.T) {
	w, e := newNotifiedWorld(t)
	ctx := t.Context()
	h := w.agent.Hello("NGH-PETCT1", "NGH-CT2")
	for i := range h.Assets {
		h.Assets[i].Policy.Zone = "Europe/Berlin"
	}
	w.must(w.Announce(ctx, h))
	r, _ := w.submit(ada)
	if n := e.last(access.NoticeAsked); n.Request.ID != r.ID || n.By != (session.Person{}) || n.Now.Location().String() != "Europe/Berlin" {
		t.Errorf("%+v", n)
	}
	_, err := w.Propose(ctx, ben, r.ID, access.Proposal{From: start.Add(time.Hour), Until: start.Add(2 * time.Hour), Reason: "patients"})
	w.must(err)
	if n := e.last(access.NoticeProposed); n.By != ben.who || n.Request.Proposal == nil {
		t.Errorf("%+v", n)
	}
	_, err = w.Deny(ctx, adam, r.ID, "no")
	w.wants(err, session.Denied, "approvers decide")
	e.nothing()
	_, err = w.Deny(ctx, ben, r.ID, "in use")
	w.must(err)
	if n := e.last(access.NoticeDenied); n.By != ben.who || n.Request.DenyReason != "in use" {
		t.Errorf("%+v", n)
	}
	r, _ = w.submit(ada)
	e.last(access.NoticeAsked)
	_, err = w.Withdraw(ctx, ada, r.ID)
	w.must(err)
	e.nothing()

	r, raw := w.submit(ada)
	e.last(access.NoticeAsked)
	_, err = w.Submit(ctx, ada, raw, accesstest.Proof("ada")) // again: told again, for whoever died in between
	w.must(err)
	e.last(access.NoticeAsked)
	g, p := accesstest.Bytes(w.agent.Grant(raw)), accesstest.Proof("ben")
	r, _, err = w.Approve(ctx, ben, r.ID, g, p)
	w.must(err)
	if n := e.last(access.NoticeApproved); n.By != ben.who || n.Request.Grant == nil {
		t.Errorf("%+v", n)
	}
	_, _, err = w.Approve(ctx, ben, r.ID, g, p)
	w.must(err)
	e.nothing()
	w.must(w.ReportSession(ctx, "NGH", "main", w.report(r, 1)))
	e.nothing()
	raw = accesstest.Bytes(accesstest.Extension(w.doc(r), gid(r), 3600, start.Add(time.Hour), w.clock()))
	x, err := w.Submit(ctx, ada, raw, accesstest.Proof("ada"))
	w.must(err)
	if n := e.last(access.NoticeAsked); n.Request.Extends != sid(r) {
		t.Errorf("%+v", n)
	}
	_, _, err = w.Approve(ctx, ben, x.ID, accesstest.Bytes(w.agent.Grant(raw)), accesstest.Proof("ben"))
	w.must(err)
	if n := e.last(access.NoticeApproved); n.Request.Extends != sid(r) {
		t.Errorf("%+v", n)
	}
	w.agent.SetOnline(false) // the fact counts, not whether the agent has heard of it
	_, err = w.Revoke(ctx, ben, r.ID, "enough")
	w.wants(err, session.Unreachable, "not connected")
	e.last(access.NoticeRevoked)
}

// With a quorum the engineer hears of the last approval; a disabled engineer hears of
// everything that ended; an approval that nobody used can be taken back by a kill.
func TestPeopleAreToldOfTheWholeAnswer(t *testing.T) {
	w, e := newNotifiedWorld(t)
	ctx := t.Context()
	w.agent.Needed = 2
	r, raw := w.submit(ada)
	e.last(access.NoticeAsked)
	g := accesstest.Bytes(w.agent.Grant(raw))
	_, admitted, err := w.Approve(ctx, ben, r.ID, g, accesstest.Proof("ben"))
	if w.must(err); admitted {
		t.Fatal("one was enough")
	}
	e.nothing()
	r, _, err = w.Approve(ctx, bea, r.ID, g, accesstest.Proof("bea"))
	w.must(err)
	e.last(access.NoticeApproved)
	_, err = w.Kill(ctx, ben, sid(r))
	w.must(err)
	e.last(access.NoticeRevoked)

	w.agent.Needed = 1
	w.submit(ada)
	w.approved(ada)
	e.mu.Lock()
	e.heard = nil
	e.mu.Unlock()
	_, err = w.Disable(ctx, ben, "NGH", ada.id(), "left")
	w.must(err)
	var what []string
	for _, n := range e.heard {
		what = append(what, n.What)
	}
	slices.Sort(what)
	if !slices.Equal(what, []string{access.NoticeDenied, access.NoticeRevoked}) {
		t.Errorf("heard %v", what)
	}
}

// A notifier that hangs holds nobody up for long, and fails nothing.
func TestAHangingNotifierFailsNothing(t *testing.T) {
	w, e := newNotifiedWorld(t)
	e.hangs = true
	began := time.Now()
	if r, _ := w.submit(ada); r.Status != session.Pending || time.Since(began) > 15*time.Second {
		t.Errorf("%s after %s", r.Status, time.Since(began))
	}
}
