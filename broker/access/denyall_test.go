package access_test

import (
	"fmt"
	"testing"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// An engineer who asked for all that may wait is denied in one step, and nobody else is; the
// agent hears of each.
func TestAllOfOneEngineerIsDenied(t *testing.T) {
	w := newWorld(t)
	for range grant.MaxWaiting {
		w.submit(ada)
	}
	other, _ := w.submit(adam)
	for what, c := range map[string]struct {
		who    person
		site   string
		id     session.Identity
		reason string
		kind   session.Kind
	}{
		"an engineer":            {ada, "NGH", ada.id(), "no", session.Denied},
		"an auditor":             {audrey, "NGH", ada.id(), "no", session.Denied},
		"another's approver":     {foreign, "NGH", ada.id(), "no", session.Invalid},
		"no site":                {ben, "", ada.id(), "no", session.Invalid},
		"no reason":              {ben, "NGH", ada.id(), "", session.Invalid},
		"a reason of two lines":  {ben, "NGH", ada.id(), "no\nno", session.Invalid},
		"nobody":                 {ben, "NGH", session.Identity{}, "no", session.Invalid},
		"a subject of two lines": {ben, "NGH", session.Identity{Iss: ada.id().Iss, Sub: "a\nb"}, "no", session.Invalid},
	} {
		if d, err := w.DenyAll(t.Context(), c.who, c.site, c.id, c.reason); session.KindOf(err) != c.kind || len(d.Requests) != 0 {
			t.Errorf("%s: %v, %+v", what, err, d)
		}
	}
	d, err := w.DenyAll(t.Context(), ben, "NGH", ada.id(), "too many at once")
	if err != nil || len(d.Requests) != grant.MaxWaiting || d.Left != 0 {
		t.Fatalf("%d denied, %v", len(d.Requests), err)
	}
	for _, id := range d.Requests {
		r, err := w.Get(t.Context(), ada, id)
		if err != nil || r.Status != session.DeniedBy || r.DenyReason != "too many at once" || !w.agent.Entry(id).Closed {
			t.Errorf("%s: %+v, %v; at the agent %+v", id, r.Status, err, w.agent.Entry(id))
		}
	}
	if r, err := w.Get(t.Context(), adam, other.ID); err != nil || r.Status != session.Pending {
		t.Errorf("a colleague's: %s, %v", r.Status, err)
	}
	w.submit(ada) // her share is free again
	if d, err := w.DenyAll(t.Context(), ben, "NGH", session.Identity{Iss: ada.id().Iss}, "no"); err != nil || len(d.Requests) != 2 {
		t.Errorf("the vendor: %d, %v", len(d.Requests), err)
	}
	if d, err := w.DenyAll(t.Context(), ben, "NGH", ada.id(), "no"); err != nil || len(d.Requests) != 0 {
		t.Errorf("nothing waits: %d, %v", len(d.Requests), err)
	}
}

// What another vendor's engineer asks for, under the same subject, is not theirs.
func TestOnlyThatVendorIsDenied(t *testing.T) {
	w := newWorld(t)
	var last access.Request
	for i := range 2 {
		p := someone(fmt.Sprint("vendor", i), "same", session.Engineer, "NGH")
		raw := accesstest.Bytes(accesstest.Request(p.id(), "NGH", "NGH-PETCT1", w.clock()))
		r, err := w.Submit(t.Context(), p, raw, accesstest.Proof("same"))
		w.must(err)
		last = r
	}
	if d, err := w.DenyAll(t.Context(), ben, "NGH", someone("vendor0", "same", session.Engineer, "NGH").id(), "no"); err != nil || len(d.Requests) != 1 || d.Requests[0] == last.ID {
		t.Errorf("%+v, %v", d, err)
	}
}

// An agent that is away keeps nobody waiting: it is told when it is back.
func TestDenyingAllWaitsForNoAgent(t *testing.T) {
	w := newWorld(t)
	r, _ := w.submit(ada)
	w.agent.SetOnline(false)
	d, err := w.DenyAll(t.Context(), ben, "NGH", ada.id(), "no")
	if err != nil || len(d.Requests) != 1 || w.agent.Entry(r.ID).Closed {
		t.Fatalf("%+v, %v", d, err)
	}
	w.agent.SetOnline(true)
	w.must(w.Settle(t.Context(), "NGH", "main"))
	if !w.agent.Entry(r.ID).Closed {
		t.Error("the agent never heard of it")
	}
}
