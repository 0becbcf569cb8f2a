package agent

import (
	"context"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/link"
)

// A broker lets nobody watch: only a token of the hospital's for this very session and key
// does, at the agent that admitted it, and the leave is as long as the token says.
func TestTheBrokerLetsNobodyWatch(t *testing.T) {
	s := newSite(t)
	d := s.deliveries(t, quickDir(t))
	elsewhere := s.deliveries(t, quickDir(t)) // another agent of the same hospital
	var let []time.Time
	allow := func(_ session.ID, _ string, who session.Person, until time.Time) error {
		if who.Sub != "anna" {
			t.Errorf("%+v", who)
		}
		let = append(let, until)
		return nil
	}
	d.allow, elsewhere.allow = allow, allow
	r := grant.NewRequest()
	r.Site, r.Asset, r.Services, r.Class, r.Channels = "NGH", "CT", []string{"ssh"}, session.Observe, []session.Channel{session.Shell}
	r.Eng, r.NBF, r.EXP, r.MaxS, r.Key = s.engineer("eva"), s.now.Unix(), s.now.Unix()+4*3600, 3600, newKey()
	in := s.request(t, r, "eva")
	gid, doc := s.grantOf(t, r, in.Request)
	for _, x := range []link.Deliver{in, s.approval(in, doc, "dora")} {
		if v := d.deliver(context.Background(), x); !v.OK {
			t.Fatalf("%+v", v)
		}
	}
	key, other := newKey(), newKey()
	leave := func(side, who string, id session.ID, of, sent string) link.Deliver {
		token, salt := s.proof(side, who, func(salt [32]byte) string { return grant.WatchNonce(id.Session(), of, salt) })
		return link.Deliver{Kind: link.DeliverWatch, ID: gid.Session(), Key: sent, Token: token, Salt: salt}
	}
	good := leave("hospital", "anna", gid, key, key)
	person := session.Person{Identity: session.Identity{Iss: s.url + "/hospital", Sub: "anna"}}
	for _, row := range []struct {
		what string
		at   *deliveries
		in   link.Deliver
	}{
		{"the broker's word alone", d, link.Deliver{Kind: link.DeliverWatch, ID: gid.Session(), Key: key, By: &person}},
		{"a token of the vendor's", d, leave("vendor", "eva", gid, key, key)},
		{"a token for another session", d, leave("hospital", "anna", session.ID{7}, key, key)},
		{"a token for another key", d, leave("hospital", "anna", gid, other, key)},
		{"a token of somebody without the group", d, leave("hospital", "mallory", gid, key, key)},
		{"another agent", elsewhere, good},
		{"an approval's token", d, func() link.Deliver {
			x := s.approval(in, doc, "anna")
			return link.Deliver{Kind: link.DeliverWatch, ID: gid.Session(), Key: key, Token: x.Token, Salt: x.Salt}
		}()},
		{"a request's id", d, func() link.Deliver { x := good; x.ID = idOf(r.RID).Request(); return x }()},
	} {
		v := row.at.deliver(context.Background(), row.in)
		if v.OK || v.Message == "" || v.Next == "" || len(let) > 0 {
			t.Fatalf("%s: %+v", row.what, v)
		}
		t.Logf("ATTACK | a broker lets somebody watch by %s | refused by the agent | %s | holds", row.what, v.Kind)
	}
	v := d.deliver(context.Background(), good)
	if !v.OK || v.Until == nil || !v.Until.Equal(s.now.Add(grant.WatchTime)) || len(let) != 1 || !let[0].Equal(*v.Until) {
		t.Fatalf("%+v, %v", v, let)
	}
	minted := s.now
	s.now = s.now.Add(4 * time.Minute)
	if v := d.deliver(context.Background(), good); !v.OK || !v.Until.Equal(minted.Add(grant.WatchTime)) {
		t.Errorf("the same token again: %+v", v)
	}
	s.now = minted.Add(16 * time.Minute)
	if v := d.deliver(context.Background(), good); v.OK {
		t.Errorf("an old token: %+v", v)
	}
	s.now = minted
	if v := d.deliver(context.Background(), link.Deliver{Kind: link.DeliverRevoke, ID: gid.Session()}); !v.OK {
		t.Fatalf("%+v", v)
	}
	if v := d.deliver(context.Background(), good); v.OK {
		t.Errorf("a session that was revoked: %+v", v)
	}
}
