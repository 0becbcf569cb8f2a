package access_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/link"
)

// later asks for a window that begins after a while, and has ben approve it.
func (w *world) later(p person, ahead time.Duration) access.Request {
	w.t.Helper()
	doc := accesstest.Request(p.id(), "NGH", "NGH-PETCT1", w.clock())
	doc.NBF, doc.EXP, doc.Key = w.clock().Add(ahead).Unix(), w.clock().Add(ahead+2*time.Hour).Unix(), ""
	raw := accesstest.Bytes(doc)
	r, err := w.Submit(w.t.Context(), p, raw, accesstest.Proof(p.who.Sub))
	w.must(err)
	r, _, err = w.Approve(w.t.Context(), ben, r.ID, accesstest.Bytes(w.agent.Grant(raw)), accesstest.Proof("ben"))
	w.must(err)
	return r
}

// running is a session of p's that just began.
func (w *world) running(p person) access.Request {
	w.t.Helper()
	r, _ := w.approved(p)
	w.must(w.ReportSession(w.t.Context(), "NGH", "main", w.report(r, 1)))
	return r
}

// A window that lies days ahead has no key; one joins when it opens.
func TestAWindowAheadIsOpenedByActivation(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	h := w.agent.Hello("NGH-PETCT1", "NGH-CT2")
	for i := range h.Assets {
		h.Assets[i].Policy.Zone = "Europe/Berlin"
	}
	w.must(w.Announce(ctx, h))
	r := w.later(ada, 26*time.Hour)
	key := accesstest.NewKey()
	_, err := w.Activate(ctx, adam, r.ID, key, accesstest.Proof("adam"))
	w.wants(err, session.Invalid, "There is no request")
	_, err = w.Activate(ctx, ben, r.ID, key, accesstest.Proof("ben"))
	w.wants(err, session.Denied, "Only its engineer")
	_, err = w.Activate(ctx, ada, r.ID, key, accesstest.Proof("ada"))
	w.wants(err, session.Refused, "The window opens at 5 May 16:00 CEST (in 26 h).")
	_, err = w.KeyOwner(ctx, key)
	w.wants(err, session.Denied, "belongs to no request")
	_, err = w.Route(ctx, ada.id(), "recon-ssh.ngh-petct1")
	w.wants(err, session.Refused, "The window opens at 5 May 16:00 CEST (in 26 h).")

	w.advance(26 * time.Hour)
	_, err = w.Route(ctx, ada.id(), "recon-ssh.ngh-petct1")
	w.wants(err, session.Refused, "prove once more that it is you")
	for name, line := range map[string]string{"none": "", "a comment": key + " x", "words": "let me in", "two": key + "\n" + accesstest.NewKey()} {
		if _, err := w.Activate(ctx, ada, r.ID, line, accesstest.Proof("ada")); session.KindOf(err) != session.Invalid {
			t.Errorf("a key that is %s: %v", name, err)
		}
	}
	_, err = w.Activate(ctx, ada, r.ID, key, accesstest.Proof("eve"))
	w.wants(err, session.Denied, "proof does not belong")
	_, err = w.KeyOwner(ctx, key)
	w.wants(err, session.Denied, "belongs to no request") // refused keys open nothing
	_, err = w.Activate(ctx, ada, r.ID, key, accesstest.Proof("ada"))
	w.must(err)
	owner, err := w.KeyOwner(ctx, key)
	w.must(err)
	to, err := w.Route(ctx, ada.id(), "recon-ssh.ngh-petct1")
	if w.must(err); owner.Request.Request() != r.ID || owner.Identity != ada.id() || to.Session != gid(r) {
		t.Errorf("the key leads to %+v, %+v", owner, to)
	}
	w.advance(15*time.Minute + time.Second)
	_, err = w.Route(ctx, ada.id(), "recon-ssh.ngh-petct1")
	w.wants(err, session.Refused, "prove once more that it is you")
}

func TestFourKeysAndNoMore(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	r, _ := w.approved(ada) // brings one
	other, _ := w.approved(ada)
	_, err := w.Activate(ctx, ada, r.ID, w.doc(other).Key, accesstest.Proof("ada"))
	w.wants(err, session.Refused, "belongs to another request")
	var last string
	for range 3 {
		last = accesstest.NewKey()
		_, err := w.Activate(ctx, ada, r.ID, last, accesstest.Proof("ada"))
		w.must(err)
	}
	_, err = w.Activate(ctx, ada, r.ID, accesstest.NewKey(), accesstest.Proof("ada"))
	w.wants(err, session.Refused, "4 keys have joined")
	_, err = w.Activate(ctx, ada, r.ID, last, accesstest.Proof("ada")) // proven again
	w.must(err)
	if n := w.agent.Entry(r.ID).Keys; n != 4 {
		t.Errorf("the agent knows %d keys", n)
	}
	w.agent.SetOnline(false)
	_, err = w.Activate(ctx, ada, r.ID, last, accesstest.Proof("ada"))
	w.wants(err, session.Unreachable, "not connected")
	w.agent.SetOnline(true)
	_, err = w.Revoke(ctx, ben, r.ID, "not today")
	w.must(err)
	_, err = w.Activate(ctx, ada, r.ID, last, accesstest.Proof("ada"))
	w.wants(err, session.Expired, "over")
}

func TestAnotherWindowIsProposed(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	r, raw := w.submit(ada)
	from, until := start.Add(6*time.Hour), start.Add(8*time.Hour)
	good := access.Proposal{From: from, Until: until, Reason: "patients until 17:00"}
	_, err := w.Propose(ctx, ada, r.ID, good)
	w.wants(err, session.Denied, "approvers decide")
	_, err = w.Propose(ctx, foreign, r.ID, good)
	w.wants(err, session.Invalid, "There is no request")
	for name, p := range map[string]access.Proposal{
		"over":        {From: start.Add(-2 * time.Hour), Until: start.Add(-time.Hour)},
		"backwards":   {From: until, Until: from},
		"far":         {From: start.Add(31 * 24 * time.Hour), Until: start.Add(31*24*time.Hour + time.Hour)},
		"too wide":    {From: from, Until: from.Add(25 * time.Hour)},
		"with escape": {From: from, Until: until, Reason: "\x1b[2J"},
	} {
		if _, err := w.Propose(ctx, ben, r.ID, p); session.KindOf(err) != session.Invalid && session.KindOf(err) != session.Refused {
			t.Errorf("a window %s: %v", name, err)
		}
	}
	r, err = w.Propose(ctx, ben, r.ID, good)
	if w.must(err); r.Status != session.Pending || r.Proposal == nil || !r.Proposal.From.Equal(from) || r.Proposal.By != ben.who.Email {
		t.Errorf("proposed: %+v", r)
	}
	if r, err = w.Get(ctx, ada, r.ID); err != nil || r.Proposal == nil || r.Proposal.Reason != good.Reason {
		t.Errorf("the engineer sees %+v, %v", r.Proposal, err)
	}
	// It decides nothing: the request can still be approved as it is.
	r, _, err = w.Approve(ctx, bea, r.ID, accesstest.Bytes(w.agent.Grant(raw)), accesstest.Proof("bea"))
	if w.must(err); r.Proposal != nil {
		t.Error("an approved request still shows another window")
	}
	_, err = w.Propose(ctx, ben, r.ID, good)
	w.wants(err, session.Refused, "approved already")
}

func TestExtension(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	r := w.running(ada)
	ask := func(p person, change func(*grant.Request)) (access.Request, []byte, error) {
		doc := accesstest.Extension(w.doc(r), gid(r), 3600, start.Add(time.Hour), w.clock())
		doc.Eng = p.id()
		if change != nil {
			change(&doc)
		}
		raw := accesstest.Bytes(doc)
		x, err := w.Submit(ctx, p, raw, accesstest.Proof(p.who.Sub))
		return x, raw, err
	}
	for name, change := range map[string]func(*grant.Request){
		"of another's session": nil,
		"of no more time":      func(d *grant.Request) { d.MaxS = 1800 },
		"of an earlier end":    func(d *grant.Request) { d.EXP = start.Add(20 * time.Minute).Unix() },
		"of another scanner":   func(d *grant.Request) { d.Asset = "NGH-CT2" },
		"of another service":   func(d *grant.Request) { d.Services = []string{"console-ssh"} },
		"of another channel":   func(d *grant.Request) { d.Channels = []session.Channel{session.FilesIn} },
		"of no session":        func(d *grant.Request) { d.Parent = session.NewID().Text() },
	} {
		p := ada
		if change == nil {
			p = adam
		}
		if _, _, err := ask(p, change); session.KindOf(err) != session.Refused {
			t.Errorf("an extension %s: %v", name, err)
		}
	}
	w.advance(10 * time.Minute)
	x, raw, err := ask(ada, nil)
	w.must(err)
	if x.Extends != sid(r) || x.Status != session.Pending {
		t.Errorf("asked: %+v", x)
	}
	deadline := func() time.Time {
		s, err := w.Session(ctx, ben, sid(r))
		w.must(err)
		return s.Deadline
	}
	if !deadline().Equal(start.Add(30 * time.Minute)) {
		t.Error("asking moved the deadline")
	}
	// The answer is lost on the way once; approving again finds the same grant.
	fails := accesstest.DoneNoted
	w.agent.Fail = func() accesstest.Failure { f := fails; fails = accesstest.Works; return f }
	g, p := accesstest.Bytes(w.agent.Grant(raw)), accesstest.Proof("ben")
	if _, _, err = w.Approve(ctx, ben, x.ID, g, p); session.KindOf(err) != session.Unreachable {
		t.Errorf("a lost answer: %v", err)
	}
	x, admitted, err := w.Approve(ctx, ben, x.ID, g, p)
	if w.must(err); !admitted || x.Status != session.Closed {
		t.Errorf("admitted %v, %s", admitted, x.Status)
	}
	if !deadline().Equal(start.Add(time.Hour)) || w.agent.Entry(r.ID).Until != 3600 {
		t.Errorf("the session ends at %s, at the agent after %d s", deadline(), w.agent.Entry(r.ID).Until)
	}
	// Its own grant never shows as a session, and opens and ends nothing.
	if _, err = w.Session(ctx, ben, sid(x)); session.KindOf(err) != session.Invalid {
		t.Errorf("the extension as a session: %v", err)
	}
	if _, err = w.Kill(ctx, ben, sid(x)); session.KindOf(err) != session.Invalid {
		t.Errorf("the extension killed: %v", err)
	}
	if all, _, _ := w.Sessions(ctx, ben, false, access.Stretch{}); len(all) != 1 {
		t.Errorf("%d sessions", len(all))
	}
	if _, err = w.Revoke(ctx, ben, x.ID, "no"); session.KindOf(err) != session.Refused {
		t.Errorf("a used extension taken back: %v", err)
	}
	// Nobody answers the next one: the old deadline holds, and then it is too late.
	y, rawY, err := ask(ada, func(d *grant.Request) { d.MaxS, d.EXP = 7200, start.Add(2*time.Hour).Unix() })
	w.must(err)
	w.advance(50 * time.Minute)
	_, _, err = w.Approve(ctx, ben, y.ID, accesstest.Bytes(w.agent.Grant(rawY)), accesstest.Proof("ben"))
	w.wants(err, session.Expired, "The session is over.")
	if to, err := w.Route(ctx, ada.id(), "recon-ssh.ngh-petct1"); err == nil {
		t.Errorf("open after its deadline: %+v", to)
	}
}

func TestFreezeAndThaw(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	unreported, _ := w.approved(ada) // whether it is open the agent alone knows
	s, err := w.Freeze(ctx, ben, sid(unreported))
	if w.must(err); s.State != session.Frozen || !slices.Equal(s.Frozen, []string{"broker"}) || !w.agent.Entry(unreported.ID).Frozen {
		t.Errorf("frozen before the agent's report: %+v", s)
	}
	w.agent.Refuse = &link.Verdict{Kind: session.Invalid, Message: "There is no such session.", Next: "See the agent's page."}
	_, err = w.Freeze(ctx, ben, sid(unreported))
	w.wants(err, session.Invalid, "There is no such session.")
	w.agent.Refuse = nil
	r := w.running(ada)
	for who, p := range map[string]person{"her engineer": ada, "an auditor": audrey} {
		if _, err := w.Freeze(ctx, p, sid(r)); session.KindOf(err) != session.Denied {
			t.Errorf("frozen by %s: %v", who, err)
		}
	}
	if _, err := w.Freeze(ctx, foreign, sid(r)); session.KindOf(err) != session.Invalid {
		t.Errorf("frozen by a foreigner: %v", err)
	}
	w.agent.SetOnline(false)
	_, err = w.Freeze(ctx, ben, sid(r))
	w.wants(err, session.Unreachable, "nothing was changed")
	w.agent.SetOnline(true)
	s, err = w.Freeze(ctx, ben, sid(r))
	if w.must(err); s.State != session.Frozen || !slices.Equal(s.Frozen, []string{"broker"}) || !w.agent.Entry(r.ID).Frozen {
		t.Errorf("frozen: %+v", s)
	}
	rep := w.report(r, 2)
	rep.Frozen, rep.Keys = []string{"broker", "local"}, 2
	w.must(w.ReportSession(ctx, "NGH", "main", rep))
	s, err = w.Thaw(ctx, bea, sid(r))
	if w.must(err); s.State != session.Frozen || !slices.Equal(s.Frozen, []string{"local"}) || s.Keys != 2 {
		t.Errorf("thawed here, frozen there: %+v", s)
	}
	rep.Seq, rep.Frozen = 3, nil
	w.must(w.ReportSession(ctx, "NGH", "main", rep))
	if s, err = w.Session(ctx, ada, sid(r)); err != nil || s.State != session.Live || len(s.Frozen) != 0 {
		t.Errorf("thawed: %+v, %v", s, err)
	}
	rep.Seq, rep.Frozen = 4, []string{"x\x1b[2J"}
	if err := w.ReportSession(ctx, "NGH", "main", rep); session.KindOf(err) != session.Invalid {
		t.Errorf("an odd cause: %v", err)
	}
}

func TestRevoke(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	pending, _ := w.submit(ada)
	_, err := w.Revoke(ctx, ben, pending.ID, "no")
	w.wants(err, session.Refused, "not approved yet")
	r := w.running(ada)
	_, err = w.Revoke(ctx, ada, r.ID, "no")
	w.wants(err, session.Denied, "")
	_, err = w.Revoke(ctx, foreign, r.ID, "no")
	w.wants(err, session.Invalid, "There is no request")
	_, err = w.Revoke(ctx, ben, r.ID, " ")
	w.wants(err, session.Invalid, "needs a reason")

	// The agent is away: nobody gets through here, and the agent hears of it later.
	w.agent.SetOnline(false)
	_, err = w.Revoke(ctx, ben, r.ID, "the wrong scanner")
	w.wants(err, session.Unreachable, "as soon as it is back")
	if v, err := w.Get(ctx, ada, r.ID); err != nil || v.Status != session.Revoked || v.RevokeWhy != "the wrong scanner" {
		t.Errorf("revoked: %+v, %v", v, err)
	}
	_, err = w.Route(ctx, ada.id(), "recon-ssh.ngh-petct1")
	if session.KindOf(err) == session.Unreachable || err == nil {
		t.Errorf("the way in: %v", err)
	}
	if s, err := w.Session(ctx, ben, sid(r)); err != nil || s.State != session.Live {
		t.Errorf("nobody has ended it yet, but it shows as %s, %v", s.State, err)
	}
	w.agent.SetOnline(true)
	w.must(w.Settle(ctx, "NGH", "main"))
	if !w.agent.Entry(r.ID).Closed || !slices.Contains(w.agent.Arrived(), "revoke") {
		t.Error("the agent was not told")
	}
	// Connected: at once.
	r = w.running(ada)
	r, err = w.Revoke(ctx, bea, r.ID, "patient")
	if w.must(err); r.Status != session.Revoked || !w.agent.Entry(r.ID).Closed {
		t.Errorf("revoked: %+v", r)
	}
	if s, err := w.Session(ctx, ben, sid(r)); err != nil || s.State != session.Ended || why(s) != session.RevokedGrant {
		t.Errorf("the session: %+v, %v", s, err)
	}
	_, err = w.Revoke(ctx, ben, r.ID, "again")
	w.wants(err, session.Refused, "over")
}

func TestAnEngineerIsDisabled(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	asked, raw := w.submit(ada)
	waiting, _ := w.approved(ada)
	live := w.running(ada)
	his := w.running(adam)
	for who, p := range map[string]person{"herself": ada, "an auditor": audrey} {
		if _, err := w.Disable(ctx, p, "NGH", ada.id(), "left"); session.KindOf(err) != session.Denied {
			t.Errorf("by %s: %v", who, err)
		}
	}
	_, err := w.Disable(ctx, foreign, "NGH", ada.id(), "left")
	w.wants(err, session.Invalid, "There is no site")
	_, err = w.Disable(ctx, ben, "NGH", ada.id(), "")
	w.wants(err, session.Invalid, "reason")

	w.agent.SetOnline(false)
	e, err := w.Disable(ctx, ben, "NGH", ada.id(), "left the company")
	if w.must(err); !e.Disabled || e.Email != ada.who.Email || !slices.Equal(e.Waiting, []string{"main"}) {
		t.Errorf("disabled: %+v", e)
	}
	refused := func(what string, err error) {
		t.Helper()
		if session.KindOf(err) != session.Denied {
			t.Errorf("%s of a disabled engineer: %v", what, err)
		}
	}
	_, err = w.KeyOwner(ctx, w.doc(live).Key)
	refused("the key", err)
	_, err = w.Route(ctx, ada.id(), "recon-ssh.ngh-petct1")
	refused("the way in", err)
	_, err = w.Activate(ctx, ada, waiting.ID, accesstest.NewKey(), accesstest.Proof("ada"))
	refused("an activation", err)
	fresh := accesstest.Bytes(accesstest.Request(ada.id(), "NGH", "NGH-PETCT1", w.clock()))
	_, err = w.Submit(ctx, ada, fresh, accesstest.Proof("ada"))
	refused("a request", err)
	_, _, err = w.Approve(ctx, ben, asked.ID, accesstest.Bytes(w.agent.Grant(raw)), accesstest.Proof("ben"))
	if session.KindOf(err) != session.Refused {
		t.Errorf("the open request approved: %v", err)
	}
	for _, id := range []string{asked.ID, waiting.ID, live.ID} {
		if v, err := w.Get(ctx, ada, id); err != nil || v.Status != session.Revoked && v.Status != session.DeniedBy {
			t.Errorf("%s, %v", v.Status, err)
		}
	}
	if barred, err := w.Barred(ctx, ada.id(), "XYZ"); barred || err != nil {
		t.Errorf("barred from another site: %v, %v", barred, err)
	}
	if _, err := w.KeyOwner(ctx, w.doc(his).Key); err != nil {
		t.Errorf("another engineer's key: %v", err)
	}
	w.agent.SetOnline(true)
	w.must(w.Settle(ctx, "NGH", "main"))
	if !w.agent.Entry(live.ID).Closed || !w.agent.Entry(asked.ID).Closed || w.agent.Entry(his.ID).Closed || !slices.Contains(w.agent.Arrived(), "disable") {
		t.Errorf("the agent heard %v", w.agent.Arrived())
	}
	n := len(w.agent.Arrived())
	w.must(w.Settle(ctx, "NGH", "main"))
	if len(w.agent.Arrived()) != n {
		t.Error("the agent was told twice")
	}
	all, _, err := w.Engineers(ctx, bea, access.Stretch{})
	if w.must(err); len(all) != 2 || !all[0].Disabled || all[0].Email != "ada@vendor" || len(all[0].Waiting) != 0 || all[1].Disabled {
		t.Errorf("engineers: %+v", all)
	}
	if all, _, err := w.Engineers(ctx, foreign, access.Stretch{}); err != nil || len(all) != 0 {
		t.Errorf("a foreigner sees %v, %v", all, err)
	}
	_, _, err = w.Engineers(ctx, ada, access.Stretch{})
	w.wants(err, session.Denied, "")

	_, err = w.Enable(ctx, bea, "NGH", ada.id(), "a mistake")
	w.must(err)
	if _, err := w.Route(ctx, ada.id(), "recon-ssh.ngh-petct1"); err == nil {
		t.Error("what was taken back came back")
	}
	w.running(ada)
	if _, err = w.Route(ctx, ada.id(), "recon-ssh.ngh-petct1"); err != nil {
		t.Errorf("enabled again: %v", err)
	}
}

// Who is still needed, whichever order people approve in; one person takes one place.
func TestQuorumByGroup(t *testing.T) {
	quorum := []session.Quorum{{Group: "it", Count: 1}, {Group: "modality-managers", Count: 1}}
	for _, c := range []struct{ ben, want string }{
		{"it", "modality-managers"}, {"modality-managers", "it"}, {"it,modality-managers", "modality-managers"}, {"others", "it,modality-managers"},
	} {
		w := newWorld(t)
		w.agent.Needed = 2
		h := w.agent.Hello("NGH-PETCT1")
		h.Assets[0].Policy.Quorum = quorum
		w.must(w.Announce(t.Context(), h))
		r, raw := w.submit(ada)
		if got := strings.Join(r.Missing, ","); got != "it,modality-managers" {
			t.Errorf("before anybody: %s", got)
		}
		r, admitted, err := w.Approve(t.Context(), ben, r.ID, accesstest.Bytes(w.agent.Grant(raw)), accesstest.ProofIn("ben", strings.Split(c.ben, ",")...))
		if w.must(err); admitted || strings.Join(r.Missing, ",") != c.want {
			t.Errorf("after one of %s: %v, want %s", c.ben, r.Missing, c.want)
		}
	}
	// Somebody of both groups makes room for somebody of one.
	w := newWorld(t)
	w.agent.Needed = 3
	h := w.agent.Hello("NGH-PETCT1")
	h.Assets[0].Policy.Quorum = append(quorum, session.Quorum{Group: "it", Count: 1})
	w.must(w.Announce(t.Context(), h))
	r, raw := w.submit(ada)
	g := accesstest.Bytes(w.agent.Grant(raw))
	_, _, err := w.Approve(t.Context(), ben, r.ID, g, accesstest.ProofIn("ben", "it", "modality-managers"))
	w.must(err)
	r, _, err = w.Approve(t.Context(), bea, r.ID, g, accesstest.ProofIn("bea", "it"))
	if w.must(err); len(r.Missing) != 1 {
		t.Errorf("still needed: %v", r.Missing)
	}
}

// An agent that speaks what this broker does not know is told so, and nothing that it
// announced replaces what is known.
func TestAnUnknownProtocolIsRefused(t *testing.T) {
	w := newWorld(t)
	h := w.agent.Hello("NGH-PETCT1", "NGH-CT7")
	h.Assets[1].Services[0].Protocol = "x11"
	err := w.Announce(t.Context(), h)
	w.wants(err, session.Invalid, `"x11", which this broker does not know`)
	all, err := scanners(t.Context(), w.Access, ada, access.Which{})
	w.must(err)
	for _, a := range all {
		if a.Name == "NGH-CT7" {
			t.Errorf("what was refused is there: %+v", a)
		}
	}
}
