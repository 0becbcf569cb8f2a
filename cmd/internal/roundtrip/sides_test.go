package roundtrip

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/broker/identity"
	"github.com/sallyport/sallyport/session"
)

// One provider for both sides: who is in groups of both asks like an engineer and approves
// like an approver, but never what they asked for themselves.
func TestNobodyApprovesTheirOwnRequestAtOneProvider(t *testing.T) {
	w := newWorld(t, func(i []identity.Issuer) {
		i[1] = i[0]
		i[1].Side, i[1].Clients = session.HospitalSide, map[string]session.ClientClass{"sallyport-web": session.Web}
	})
	both, app, eng := w.browser(), w.browser(), w.browser()
	both.signIn("both@meridian.example")
	app.signIn("crossed@meridian.example")
	eng.signIn(engineer)
	for who, want := range map[*browser]string{both: "approver engineer", app: "approver auditor", eng: "engineer"} {
		var me api.Login
		who.decode(who.call("GET", "/api/v1/me", nil), &me)
		var roles []string
		for _, r := range me.Roles {
			roles = append(roles, string(r))
		}
		if got := strings.Join(roles, " "); got != want {
			t.Errorf("%s has the roles %s", me.Person.Email, got)
		}
	}
	own := both.prove(both.ask())
	if !own.OK {
		t.Fatalf("asked: %+v", own.Problem)
	}
	if o := both.prove(both.approval(own.Request)); o.OK || o.Problem == nil || o.Problem.Message != "You asked for this yourself." {
		t.Errorf("their own: %+v", o)
	}
	if o := app.prove(app.approval(own.Request)); !o.OK || !o.Admitted {
		t.Errorf("another's yes: %+v", o.Problem)
	}
	if other := eng.prove(eng.ask()); !other.OK {
		t.Errorf("asked: %+v", other.Problem)
	} else if o := both.prove(both.approval(other.Request)); !o.OK || !o.Admitted {
		t.Errorf("their yes to another's: %+v", o.Problem)
	}
}
