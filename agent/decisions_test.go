package agent

import (
	"crypto/ed25519"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent/console/page"
	"github.com/sallyport/sallyport/agent/modality"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/link"
)

// desk is the agent's page's way to decide, at a site; CT takes approvals at the hospital's
// console, MR wants two people.
func (s *site) desk(t *testing.T) decisions {
	t.Helper()
	d := s.deliveries(t, quickDir(t))
	t.Cleanup(func() { must(t, d.ledger.Close()) })
	a := &Agent{ledger: d.ledger, client: &link.Client{}, log: slog.New(slog.DiscardHandler)}
	a.identity = ed25519.NewKeyFromSeed(make([]byte, 32))
	a.wall = func() time.Time { return s.now }
	services := []Endpoint{{Services: []Service{{Name: "ssh", Protocol: session.SSH, Class: session.Disruptive}}}}
	a.rules.Store(&Config{Assets: []Asset{{Name: "CT", Endpoints: services},
		{Name: "MR", Endpoints: services, Policy: Policy{Quorum: []session.Quorum{{Group: "it", Count: 1}, {Group: "modality", Count: 1}}}},
		{Name: "WEB", Endpoints: services, Policy: Policy{Accept: session.Accept{Approver: []session.ClientClass{session.Web}}}}}})
	a.deliveries.Store(d)
	a.states = modality.Open(filepath.Join(quickDir(t), "switches.json"), nil, a.wall, a.log, func(string, modality.Standing) {})
	a.reporter = newReporter(a.ledger, nil, nil, a.log)
	return decisions{a}
}

// ask is a request that waits.
func (s *site) ask(t *testing.T, d *deliveries, asset string) (string, link.Deliver) {
	t.Helper()
	r := grant.NewRequest()
	r.Site, r.Asset, r.Services, r.Class, r.Channels = "NGH", asset, []string{"ssh"}, session.NonDisruptive, []session.Channel{session.Exec, session.Shell}
	r.NBF, r.EXP, r.MaxS, r.Eng = s.now.Unix(), s.now.Add(4*time.Hour).Unix(), 1800, s.engineer("eva")
	r.Key, r.Reason, r.Ref = newKey(), "Tube arcs", "WO-7"
	in := s.request(t, r, "eva")
	if v := d.deliver(t.Context(), in); !v.OK {
		t.Fatalf("request: %s", v.Message)
	}
	return idOf(r.RID).Request(), in
}

func (s *site) visitor(sub string) page.Visitor {
	return page.Visitor{Person: session.Person{Identity: session.Identity{Iss: s.url + "/hospital", Sub: sub}}, Name: sub, Approves: true}
}

// signs is somebody's fresh signature of what they read.
func (s *site) signs(x *page.Draft, sub string) grant.Proof {
	token, salt := s.proof("hospital", sub, func(salt [32]byte) string { return grant.ApproveNonce(x.Grant, x.Engineer, salt) })
	return grant.Proof{Token: token, Salt: salt}
}

// What an approver reads on the page is what the grant's bytes say, and what they sign is
// admitted by the rules of every other approval.
func TestApprovalsOnThePage(t *testing.T) {
	s := newSite(t)
	desk := s.desk(t)
	d := desk.a.deliveries.Load()
	id, _ := s.ask(t, d, "CT")
	anna := s.visitor("anna")
	x, err := desk.Draft(id, grant.Less{MaxS: 600, Class: session.Observe, Channels: []session.Channel{session.Exec}}, anna)
	must(t, err)
	g, err := grant.ParseGrant(x.Grant)
	must(t, err)
	if said := strings.Join(x.Allows, "|"); g.MaxS != 600 || g.Class != session.Observe || len(g.Channels) != 1 || !strings.Contains(said, "for up to 10 min") || strings.Contains(said, "shell") {
		t.Errorf("%+v reads %s", g, said)
	}
	if _, err := desk.Draft(id, grant.Less{MaxS: 1801}, anna); session.KindOf(err) != session.Refused {
		t.Errorf("wider than asked: %v", err)
	}
	o, err := desk.Approve(t.Context(), x, anna, s.signs(x, "anna"))
	must(t, err)
	if o.Title != "Approved and admitted" || !strings.Contains(o.Text, "The broker is away; it is told as soon as it is back.") {
		t.Errorf("%+v", o)
	}
	if _, err := desk.Approve(t.Context(), x, anna, s.signs(x, "anna")); session.KindOf(err) != session.Refused {
		t.Errorf("a second time: %v", err)
	}
	owed, err := toTell(desk).owed()
	must(t, err)
	if len(owed) != 1 || owed[0].Request != id || !owed[0].Admitted || owed[0].Count != 1 || owed[0].By.Sub != "anna" || string(owed[0].Grant) != string(x.Grant) {
		t.Fatalf("owed: %+v", owed)
	}
	must(t, toTell(desk).told(owed[0]))
	if owed, err := toTell(desk).owed(); err != nil || len(owed) != 0 {
		t.Errorf("told, and owed: %v %v", owed, err)
	}
}

// The broker never hears of an approval before it is known what it admits: it would cross the
// request out as one that waits.
func TestNoHalfAnApprovalIsTold(t *testing.T) {
	s := newSite(t)
	desk := s.desk(t)
	stop, looked := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(looked)
		for {
			select {
			case <-stop:
				return
			default:
			}
			owed, err := toTell(desk).owed()
			for _, x := range owed {
				if err != nil || !x.Admitted {
					t.Errorf("told while it is taken: %+v %v", x, err)
				}
			}
		}
	}()
	anna := s.visitor("anna")
	for range 10 {
		id, _ := s.ask(t, desk.a.deliveries.Load(), "CT")
		x, err := desk.Draft(id, grant.Less{}, anna)
		must(t, err)
		_, err = desk.Approve(t.Context(), x, anna, s.signs(x, "anna"))
		must(t, err)
	}
	close(stop)
	<-looked
}

// Whatever is not the fresh word of an approver over the very grant opens nothing.
func TestWhatIsNoApprovalOnThePage(t *testing.T) {
	s := newSite(t)
	desk := s.desk(t)
	d := desk.a.deliveries.Load()
	id, _ := s.ask(t, d, "CT")
	other, _ := s.ask(t, d, "CT")
	anna := s.visitor("anna")
	x, err := desk.Draft(id, grant.Less{}, anna)
	must(t, err)
	y, err := desk.Draft(other, grant.Less{}, anna)
	must(t, err)
	stale := func() grant.Proof {
		s.now = s.now.Add(-2 * time.Minute)
		p := s.signs(x, "anna")
		s.now = s.now.Add(2 * time.Minute)
		return p
	}
	login := func() grant.Proof {
		token, salt := s.proof("hospital", "anna", func(salt [32]byte) string {
			return grant.Nonce(grant.RoleLogin, grant.GrantHash(x.Grant), [32]byte{}, salt)
		})
		return grant.Proof{Token: token, Salt: salt}
	}
	engineer := func() grant.Proof {
		token, salt := s.proof("vendor", "eva", func(salt [32]byte) string { return grant.ApproveNonce(x.Grant, x.Engineer, salt) })
		return grant.Proof{Token: token, Salt: salt}
	}
	for name, try := range map[string]struct {
		who   page.Visitor
		proof grant.Proof
	}{
		"another grant's token": {anna, s.signs(y, "anna")}, "a stale login": {anna, stale()}, "a sign-in's token": {anna, login()}, "no token": {anna, grant.Proof{}},
		"without the group": {s.visitor("mallory"), s.signs(x, "mallory")}, "the engineer": {anna, engineer()}, "somebody else's": {anna, s.signs(x, "bernd")},
	} {
		if o, err := desk.Approve(t.Context(), x, try.who, try.proof); err == nil {
			t.Errorf("%s: %+v", name, o)
		}
	}
	if _, err := desk.Draft(id, grant.Less{}, page.Visitor{Person: session.Person{Identity: s.engineer("eva")}}); session.KindOf(err) != session.Denied {
		t.Errorf("the engineer reads it to decide: %v", err)
	}
	if p, err := d.ledger.PendingRequest(parsed(t, id)); err != nil || len(p.Approvals) != 0 {
		t.Errorf("%v %v", p.Approvals, err)
	}
	s.now = s.now.Add(5 * time.Hour)
	if _, err := desk.Draft(id, grant.Less{}, anna); session.KindOf(err) != session.Expired {
		t.Errorf("an expired request: %v", err)
	}
	if _, err := desk.Approve(t.Context(), x, anna, s.signs(x, "anna")); err == nil {
		t.Error("an expired request is approved")
	}
	if owed, err := toTell(desk).owed(); err != nil || len(owed) != 0 {
		t.Errorf("owed: %v %v", owed, err)
	}
}

func parsed(t *testing.T, id string) session.ID {
	t.Helper()
	rid, err := session.ParseRequestID(id)
	must(t, err)
	return rid
}

// Two approvers, here and through the broker, in either order, sign one grant.
func TestTwoApproversHereAndThere(t *testing.T) {
	s := newSite(t)
	desk := s.desk(t)
	d := desk.a.deliveries.Load()
	anna, bernd := s.visitor("anna"), s.visitor("bernd")

	id, in := s.ask(t, d, "MR") // here first
	x, err := desk.Draft(id, grant.Less{MaxS: 600}, anna)
	must(t, err)
	if o, err := desk.Approve(t.Context(), x, anna, s.signs(x, "anna")); err != nil || !strings.HasPrefix(o.Text, "1 of 2") {
		t.Fatalf("%+v %v", o, err)
	}
	if _, err := desk.Draft(id, grant.Less{}, anna); session.KindOf(err) != session.Refused {
		t.Errorf("the same person reads it again: %v", err)
	}
	r, err := grant.ParseRequest(in.Request)
	must(t, err)
	_, asked := s.grantOf(t, r, in.Request)
	if v := d.deliver(t.Context(), s.approval(in, asked, "bernd")); v.OK || !strings.Contains(v.Message, "other terms") {
		t.Errorf("other terms take the place of what was approved here: %+v", v)
	}
	if v := d.deliver(t.Context(), s.approval(in, x.Grant, "bernd")); !v.Admitted {
		t.Errorf("the second approval: %+v", v)
	}

	id, in = s.ask(t, d, "MR") // there first
	r, err = grant.ParseRequest(in.Request)
	must(t, err)
	_, asked = s.grantOf(t, r, in.Request)
	stale, err := desk.Draft(id, grant.Less{MaxS: 600}, bernd)
	must(t, err)
	if v := d.deliver(t.Context(), s.approval(in, asked, "anna")); !v.OK || v.Admitted {
		t.Fatalf("%+v", v)
	}
	if _, err := desk.Approve(t.Context(), stale, bernd, s.signs(stale, "bernd")); session.KindOf(err) != session.Refused {
		t.Errorf("what was read before the other approved: %v", err)
	}
	if _, err := desk.Draft(id, grant.Less{MaxS: 600}, bernd); session.KindOf(err) != session.Refused {
		t.Errorf("less than the other approved: %v", err)
	}
	if x, err = desk.Draft(id, grant.Less{}, bernd); err != nil || string(x.Grant) != string(asked) || !strings.Contains(x.Before, "signed this same grant") {
		t.Fatalf("%v", err)
	}
	if o, err := desk.Approve(t.Context(), x, bernd, s.signs(x, "bernd")); err != nil || o.Title != "Approved and admitted" {
		t.Errorf("%+v %v", o, err)
	}
	owed, err := toTell(desk).owed()
	must(t, err)
	if len(owed) != 2 {
		t.Errorf("%d answers are owed", len(owed))
	}
}

// A no is closed for good before anybody is told, and is owed with its reason.
func TestADenialOnThePage(t *testing.T) {
	s := newSite(t)
	desk := s.desk(t)
	d := desk.a.deliveries.Load()
	id, in := s.ask(t, d, "CT")
	must(t, desk.Deny(id, s.visitor("anna"), "in use until 15:00"))
	r, err := grant.ParseRequest(in.Request)
	must(t, err)
	_, doc := s.grantOf(t, r, in.Request)
	if v := d.deliver(t.Context(), s.approval(in, doc, "bernd")); v.OK {
		t.Error("it is approved after a no")
	}
	if err := desk.Deny(id, s.visitor("anna"), "again"); session.KindOf(err) != session.Refused {
		t.Errorf("a second no: %v", err)
	}
	owed, err := toTell(desk).owed()
	if err != nil || len(owed) != 1 || owed[0].Reason != "in use until 15:00" || owed[0].By.Sub != "anna" || len(owed[0].Grant) != 0 {
		t.Fatalf("%+v %v", owed, err)
	}
	must(t, toTell(desk).told(owed[0]))
	if owed, err := toTell(desk).owed(); err != nil || len(owed) != 0 {
		t.Errorf("told, and owed: %v %v", owed, err)
	}
}

// Who signs in is known by the hospital's provider and is in a group that may.
func TestVisitsOfThePage(t *testing.T) {
	s := newSite(t)
	desk := s.desk(t)
	rules := *desk.a.rules.Load()
	rules.Console.SignIn = page.SignIn{Client: "console", Operators: "it"}
	desk.a.rules.Store(&rules)
	visit := func(side, sub, nonce string) (page.Visitor, error) {
		token, _ := s.proof(side, sub, func([32]byte) string { return nonce })
		return desk.Visit(t.Context(), "n", token)
	}
	if who, err := visit("hospital", "anna", "n"); err != nil || !who.Approves || who.Person.Sub != "anna" {
		t.Errorf("an approver: %+v %v", who, err)
	}
	if who, err := visit("hospital", "mallory", "n"); err != nil || who.Approves {
		t.Errorf("an operator: %+v %v", who, err)
	}
	for name, try := range map[string][3]string{"no group": {"hospital", "eva", "n"}, "the vendor's": {"vendor", "eva", "n"}, "another nonce": {"hospital", "anna", "m"}} {
		if who, err := visit(try[0], try[1], try[2]); err == nil {
			t.Errorf("%s: %+v", name, who)
		}
	}
}
