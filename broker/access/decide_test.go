package access_test

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/link"
)

func TestGrantsThatAreNotTaken(t *testing.T) {
	doc := func(change func(*grant.Grant)) func(*world, []byte) []byte {
		return func(w *world, raw []byte) []byte {
			g := w.agent.Grant(raw)
			change(&g)
			return accesstest.Bytes(g)
		}
	}
	fine := doc(func(*grant.Grant) {})
	for name, c := range map[string]struct {
		who  person
		raw  func(*world, []byte) []byte
		bad  func(*grant.Proof)
		kind session.Kind
	}{
		"by its engineer":              {who: ada, raw: fine, kind: session.Denied},
		"by its engineer in two roles": {who: ada.with(session.Approver), raw: fine, kind: session.Denied},
		"by an auditor":                {who: audrey, raw: fine, kind: session.Denied},
		"by a foreign approver":        {who: foreign, raw: fine, kind: session.Invalid},
		"for another request":          {raw: doc(func(g *grant.Grant) { g.Req = strings.Repeat("0", 64) }), kind: session.Invalid},
		"for another site":             {raw: doc(func(g *grant.Grant) { g.Site = "XYZ" }), kind: session.Refused},
		"for another scanner":          {raw: doc(func(g *grant.Grant) { g.Asset = "NGH-CT2" }), kind: session.Refused},
		"for another agent":            {raw: doc(func(g *grant.Grant) { g.Agent = "SHA256:x" }), kind: session.Invalid},
		"with another service":         {raw: doc(func(g *grant.Grant) { g.Services = []string{"console-ssh"} }), kind: session.Refused},
		"with one service more":        {raw: doc(func(g *grant.Grant) { g.Services = []string{"console-ssh", "recon-ssh"} }), kind: session.Refused},
		"with no service":              {raw: doc(func(g *grant.Grant) { g.Services = []string{} }), kind: session.Invalid},
		"with a channel more":          {raw: doc(func(g *grant.Grant) { g.Channels = session.Channels() }), kind: session.Refused},
		"of a stronger class":          {raw: doc(func(g *grant.Grant) { g.Class = session.Disruptive }), kind: session.Refused},
		"beginning earlier":            {raw: doc(func(g *grant.Grant) { g.NBF-- }), kind: session.Refused},
		"ending later":                 {raw: doc(func(g *grant.Grant) { g.EXP++ }), kind: session.Refused},
		"for longer":                   {raw: doc(func(g *grant.Grant) { g.MaxS++ }), kind: session.Refused},
		"for no time":                  {raw: doc(func(g *grant.Grant) { g.MaxS = 0 }), kind: session.Invalid},
		"that does not record":         {raw: doc(func(g *grant.Grant) { g.Obl = []string{"consent"} }), kind: session.Invalid},
		"without an id":                {raw: doc(func(g *grant.Grant) { g.GID = "" }), kind: session.Invalid},
		"of another version":           {raw: doc(func(g *grant.Grant) { g.V = 2 }), kind: session.Invalid},
		"a request":                    {raw: func(_ *world, raw []byte) []byte { return raw }, kind: session.Invalid},
		"with data after it":           {raw: func(w *world, raw []byte) []byte { return append(accesstest.Bytes(w.agent.Grant(raw)), '\n') }, kind: session.Invalid},
		"with a short salt":            {raw: fine, bad: func(p *grant.Proof) { p.Salt = nil }, kind: session.Invalid},
		"with the engineer's token":    {raw: fine, bad: func(p *grant.Proof) { p.Token = accesstest.Token("ada") }, kind: session.Denied},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			r, raw := w.submit(ada)
			who, p := c.who, accesstest.Proof("ben")
			if who.who.Sub == "" {
				who = ben
			}
			if c.bad != nil {
				c.bad(&p)
			}
			_, admitted, err := w.Approve(t.Context(), who, r.ID, c.raw(w, raw), p)
			w.wants(err, c.kind, "")
			v, err := w.Get(t.Context(), ben, r.ID)
			w.must(err)
			if admitted || v.Status != session.Pending || w.agent.Entry(r.ID).Admitted {
				t.Errorf("admitted %v, %s", admitted, v.Status)
			}
			if d, err := w.Documents(t.Context(), ben, r.ID); err != nil || d.Grant != nil {
				t.Errorf("it stays pinned: %v", err)
			}
		})
	}
}

func TestApproveOnce(t *testing.T) {
	w := newWorld(t)
	r, raw := w.submit(ada)
	g, p := accesstest.Bytes(w.agent.Grant(raw)), accesstest.Proof("ben")
	v, admitted, err := w.Approve(t.Context(), ben, r.ID, g, p)
	w.must(err)
	if !admitted || v.Status != session.Approved || sid(v) == "" || v.Approvals != 1 || v.Grant == nil {
		t.Fatalf("approved: %v %+v", admitted, v)
	}
	heard := len(w.agent.Arrived())
	if again, admitted, err := w.Approve(t.Context(), ben, r.ID, g, p); err != nil || !admitted || sid(again) != sid(v) {
		t.Errorf("the same approval again: %v, %v", admitted, err)
	}
	for _, who := range []person{ben, bea} {
		_, _, err = w.Approve(t.Context(), who, r.ID, accesstest.Bytes(w.agent.Grant(raw)), accesstest.Proof(who.who.Sub))
		w.wants(err, session.Refused, "approved already")
	}
	_, err = w.Deny(t.Context(), bea, r.ID, "too late")
	w.wants(err, session.Refused, "approved already")
	if len(w.agent.Arrived()) != heard || w.agent.Entry(r.ID).Granted != 1 {
		t.Errorf("the agent heard %v", w.agent.Arrived())
	}
}

func TestTwoApprovers(t *testing.T) {
	w := newWorld(t)
	w.agent.Needed = 2
	w.must(w.Announce(t.Context(), w.agent.Hello("NGH-PETCT1")))
	r, raw := w.submit(ada)
	g := accesstest.Bytes(w.agent.Grant(raw))
	v, admitted, err := w.Approve(t.Context(), ben, r.ID, g, accesstest.Proof("ben"))
	w.must(err)
	if admitted || v.Status != session.Pending || v.Approvals != 1 || v.Needed != 2 || v.Grant != nil {
		t.Fatalf("one of two: %v %+v", admitted, v)
	}
	_, _, err = w.Approve(t.Context(), ben, r.ID, g, accesstest.Proof("ben"))
	w.wants(err, session.Refused, "You have approved this already")
	_, _, err = w.Approve(t.Context(), bea, r.ID, accesstest.Bytes(w.agent.Grant(raw)), accesstest.Proof("bea"))
	w.wants(err, session.Refused, "other terms")
	d, err := w.Documents(t.Context(), bea, r.ID)
	w.must(err)
	if !bytes.Equal(d.Grant, g) || len(d.Approvals) != 1 {
		t.Fatalf("bea is shown %q and %d approvals", d.Grant, len(d.Approvals))
	}
	// The engineer reads what was granted, and nobody's sign-in but their own.
	own, err := w.Documents(t.Context(), ada, r.ID)
	w.must(err)
	if !bytes.Equal(own.Grant, g) || own.Approvals == nil || len(own.Approvals) != 0 || accesstest.Person(own.Token) != "ada" {
		t.Errorf("ada is shown %+v", own)
	}
	x, err := w.Access.Access(t.Context(), ada, recon)
	w.must(err)
	if !x.Pending || x.Message != "The hospital has not answered yet: 1 of 2 approvers have approved." {
		t.Errorf("ada reads %+v", x)
	}
	v, admitted, err = w.Approve(t.Context(), bea, r.ID, d.Grant, accesstest.Proof("bea"))
	w.must(err)
	if !admitted || v.Status != session.Approved || v.Approvals != 2 {
		t.Errorf("two of two: %v %+v", admitted, v)
	}
}

func TestNarrowing(t *testing.T) {
	w := newWorld(t)
	r, raw := w.submit(ada)
	g := w.agent.Grant(raw)
	g.MaxS, g.EXP, g.Channels, g.Class = 600, g.EXP-3600, []session.Channel{session.Shell}, session.Observe
	v, admitted, err := w.Approve(t.Context(), ben, r.ID, accesstest.Bytes(g), accesstest.Proof("ben"))
	if err != nil || !admitted || v.MaxSeconds != 600 || w.doc(v).MaxS != 1800 {
		t.Fatalf("%v %v %+v", admitted, err, v.Grant)
	}
	w.advance(3*time.Hour + time.Second)
	if v, err := w.Get(t.Context(), ada, r.ID); err != nil || v.Status != session.Lapsed {
		t.Errorf("after the grant's window: %s, %v", v.Status, err)
	}
}

func TestDenyAndWithdraw(t *testing.T) {
	for name, reason := range map[string]string{"nothing": "", "blank": "  ", "two lines": "a\nb", "an escape": "\x1b[1m", "a novel": strings.Repeat("x", 501)} {
		w := newWorld(t)
		r, _ := w.submit(ada)
		_, err := w.Deny(t.Context(), ben, r.ID, reason)
		w.wants(err, session.Invalid, "needs a reason")
		if v, _ := w.Get(t.Context(), ben, r.ID); v.Status != session.Pending {
			t.Errorf("%s denied it", name)
		}
	}
	w := newWorld(t)
	r, raw := w.submit(ada)
	for _, who := range []person{ada, audrey, adam} {
		_, err := w.Deny(t.Context(), who, r.ID, "no")
		w.wants(err, session.Denied, "Only the hospital's approvers")
	}
	_, err := w.Withdraw(t.Context(), ben, r.ID)
	w.wants(err, session.Denied, "Only its engineer")
	v, err := w.Deny(t.Context(), ben, r.ID, "scanner in use until 15:00")
	w.must(err)
	if v.Status != session.DeniedBy || v.DeniedBy != ben.who.Email || v.DenyReason != "scanner in use until 15:00" || !w.agent.Entry(r.ID).Closed {
		t.Errorf("denied: %+v", v)
	}
	_, _, err = w.Approve(t.Context(), bea, r.ID, accesstest.Bytes(w.agent.Grant(raw)), accesstest.Proof("bea"))
	w.wants(err, session.Refused, "denied already")
	_, err = w.Withdraw(t.Context(), ada, r.ID)
	w.wants(err, session.Refused, "over")
	_, err = w.Deny(t.Context(), bea, r.ID, "again")
	w.wants(err, session.Refused, "denied already")

	r, _ = w.submit(ada)
	if v, err = w.Withdraw(t.Context(), ada, r.ID); err != nil || v.Status != session.Withdrawn || !w.agent.Entry(r.ID).Closed {
		t.Errorf("withdrawn: %s, %v", v.Status, err)
	}
	_, err = w.Deny(t.Context(), bea, r.ID, "no")
	w.wants(err, session.Refused, "took this request back")
	granted, _ := w.approved(ada)
	if v, err = w.Withdraw(t.Context(), ada, granted.ID); err != nil || v.Status != session.Withdrawn || !w.agent.Entry(granted.ID).Closed {
		t.Errorf("withdrawn after the grant: %s, %v", v.Status, err)
	}
	opened, _ := w.approved(ada)
	w.must(w.ReportSession(t.Context(), "NGH", "main", w.report(opened, 1)))
	_, err = w.Withdraw(t.Context(), ada, opened.ID)
	w.wants(err, session.Refused, "is open")
	lapsed, raw := w.submit(ada)
	w.advance(5 * time.Hour)
	_, _, err = w.Approve(t.Context(), ben, lapsed.ID, accesstest.Bytes(w.agent.Grant(raw)), accesstest.Proof("ben"))
	w.wants(err, session.Expired, "is over")
	_, err = w.Deny(t.Context(), ben, lapsed.ID, "no")
	w.wants(err, session.Expired, "is over")
}

// A no that comes while the agent says yes wins, and the agent takes the grant back.
func TestNoWinsOverALateYes(t *testing.T) {
	for name, no := range map[string]func(*world, string) error{
		"deny":     func(w *world, id string) error { _, err := w.Deny(w.t.Context(), bea, id, "no"); return err },
		"withdraw": func(w *world, id string) error { _, err := w.Withdraw(w.t.Context(), ada, id); return err },
	} {
		for _, before := range []bool{true, false} {
			w := newWorld(t)
			r, raw := w.submit(ada)
			if before { // the agent hears the no first
				w.agent.During = func(kind string) {
					if kind == "approval" {
						w.agent.During = nil
						w.must(no(w, r.ID))
					}
				}
			} else { // the agent has said yes, the broker has not written it yet
				w.store.fail = func(verb, kind string) accesstest.Failure {
					if verb == "put" && w.agent.Entry(r.ID).Admitted {
						w.store.fail = nil
						w.must(no(w, r.ID))
					}
					return accesstest.Works
				}
			}
			_, admitted, err := w.Approve(t.Context(), ben, r.ID, accesstest.Bytes(w.agent.Grant(raw)), accesstest.Proof("ben"))
			w.wants(err, session.Refused, "")
			v, err := w.Get(t.Context(), ada, r.ID)
			w.must(err)
			if admitted || v.Status == session.Approved || v.Grant != nil || !w.agent.Entry(r.ID).Closed {
				t.Errorf("%s: admitted %v, %s, agent %+v", name, admitted, v.Status, w.agent.Entry(r.ID))
			}
		}
	}
}

// Every write and every call to the agent fails, before and after it took effect.
// Whoever asked asks again, and then all is well: one grant, one request.
func TestFailuresAreMendedByAskingAgain(t *testing.T) {
	for _, how := range []accesstest.Failure{accesstest.NotDone, accesstest.DoneNoted} {
		for n := range 12 {
			w := newWorld(t)
			count := 0
			trip := func() accesstest.Failure {
				if count++; count == n+1 {
					return how
				}
				return accesstest.Works
			}
			w.store.fail = func(string, string) accesstest.Failure { return trip() }
			w.agent.Fail = trip
			raw := accesstest.Bytes(accesstest.Request(ada.id(), "NGH", "NGH-PETCT1", w.clock()))
			p := accesstest.Proof("ada")
			r, err := w.Submit(t.Context(), ada, raw, p)
			if err != nil {
				w.wants(unreachable(err), session.Unreachable, "")
				r, err = w.Submit(t.Context(), ada, raw, p)
			}
			w.must(err)
			g := accesstest.Bytes(w.agent.Grant(raw))
			v, admitted, err := w.Approve(t.Context(), ben, r.ID, g, accesstest.Proof("ben"))
			if err != nil {
				w.wants(unreachable(err), session.Unreachable, "")
				d, derr := w.Documents(t.Context(), ben, r.ID)
				w.must(derr)
				if d.Grant == nil { // nothing pinned: a fresh grant, as a new console would make
					d.Grant = accesstest.Bytes(w.agent.Grant(raw))
				}
				v, admitted, err = w.Approve(t.Context(), ben, r.ID, d.Grant, accesstest.Proof("ben"))
			}
			w.must(err)
			entry := w.agent.Entry(r.ID)
			if !admitted || v.Status != session.Approved || entry.Granted != 1 || gid(v).Text() != entry.GID {
				t.Errorf("failure %d at step %d: %v %s, agent %+v", how, n, admitted, v.Status, entry)
			}
			if all, _, err := w.List(t.Context(), ben, "", access.Stretch{}); err != nil || len(all) != 1 {
				t.Errorf("failure %d at step %d: %d requests, %v", how, n, len(all), err)
			}
		}
	}
}

// unreachable gives the fake store's error the words that a person would get.
func unreachable(err error) error {
	var e *session.Error
	if errors.As(err, &e) && e.Next == "" {
		return &session.Error{Kind: e.Kind, Message: e.Message + ".", Next: "Try again."}
	}
	return err
}

// The store dies for good after the agent's yes. The agent's own report mends it.
func TestAReportProvesALostYes(t *testing.T) {
	w := newWorld(t)
	r, raw := w.submit(ada)
	g := w.agent.Grant(raw)
	w.store.fail = func(verb, kind string) accesstest.Failure {
		if verb == "put" && w.agent.Entry(r.ID).Admitted {
			return accesstest.NotDone
		}
		return accesstest.Works
	}
	_, _, err := w.Approve(t.Context(), ben, r.ID, accesstest.Bytes(g), accesstest.Proof("ben"))
	if session.KindOf(err) != session.Unreachable {
		t.Fatalf("Approve = %v", err)
	}
	w.store.fail = nil
	if v, _ := w.Get(t.Context(), ada, r.ID); v.Status != session.Pending {
		t.Fatalf("before the report: %s", v.Status)
	}
	id, _ := session.ParseText(g.GID)
	granted := id.Session()
	r.Grant = &granted
	w.must(w.ReportSession(t.Context(), "NGH", "main", w.report(r, 1)))
	v, err := w.Get(t.Context(), ada, r.ID)
	w.must(err)
	if v.Status != session.Approved || sid(v) != sid(r) {
		t.Errorf("after the report: %+v", v)
	}
}

// Many approvers with many grants, a denial and a withdrawal at once: never two
// grants, and the broker and the agent agree in the end.
func TestRacesNeverMakeTwoGrants(t *testing.T) {
	for round := range 12 {
		w := newWorld(t)
		r, raw := w.submit(ada)
		var all sync.WaitGroup
		var yes atomic.Int32
		begin := make(chan struct{})
		approve := func(p person) {
			<-begin
			_, admitted, err := w.Approve(t.Context(), p, r.ID, accesstest.Bytes(w.agent.Grant(raw)), accesstest.Proof(p.who.Sub))
			if err == nil && admitted {
				yes.Add(1)
			}
		}
		for range 3 {
			all.Go(func() { approve(ben) })
			all.Go(func() { approve(bea) })
		}
		if round%3 != 0 {
			all.Go(func() { <-begin; _, _ = w.Deny(t.Context(), bea, r.ID, "no") })
		}
		if round%3 == 2 {
			all.Go(func() { <-begin; _, _ = w.Withdraw(t.Context(), ada, r.ID) })
		}
		close(begin)
		all.Wait()
		v, err := w.Get(t.Context(), ada, r.ID)
		w.must(err)
		entry := w.agent.Entry(r.ID)
		if entry.Granted > 1 || yes.Load() > 1 {
			t.Fatalf("%d grants, %d yes", entry.Granted, yes.Load())
		}
		open := entry.Admitted && !entry.Closed
		if open != (v.Status == session.Approved) {
			t.Fatalf("round %d: the broker says %s, the agent %+v", round, v.Status, entry)
		}
	}
}

var _ access.Agents = (*accesstest.Agents)(nil)

// An answer that never came (the broker died while it waited) does not keep terms
// pinned that the agent refuses: not for longer than anybody waits for an answer.
func TestALostAnswerDoesNotPinForEver(t *testing.T) {
	for _, later := range []bool{false, true} {
		w := newWorld(t)
		r, raw := w.submit(ada)
		first, second := accesstest.Bytes(w.agent.Grant(raw)), accesstest.Bytes(w.agent.Grant(raw))
		w.agent.Fail = func() accesstest.Failure { return accesstest.NotDone }
		_, _, err := w.Approve(t.Context(), ben, r.ID, first, accesstest.Proof("ben"))
		w.wants(err, session.Unreachable, "")
		w.agent.Fail = nil
		if later {
			w.advance(2 * time.Minute)
		}
		w.agent.Refuse = &link.Verdict{Kind: session.Denied, Message: "The agent refuses these terms.", Next: "Approve other ones."}
		_, _, err = w.Approve(t.Context(), ben, r.ID, first, accesstest.Proof("ben"))
		w.wants(err, session.Denied, "refuses these terms")
		w.agent.Refuse = nil
		_, admitted, err := w.Approve(t.Context(), ben, r.ID, second, accesstest.Proof("ben"))
		if !later {
			w.wants(err, session.Refused, "other terms")
			continue
		}
		w.must(err)
		if !admitted {
			t.Error("the second grant was not admitted")
		}
	}
}
