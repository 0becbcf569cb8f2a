package api

import (
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/session"
)

// The hospital's people get to a live session that they watch; engineers do not, nobody of
// another hospital does, and a ticket to watch is none to work.
func TestTicketsToWatch(t *testing.T) {
	w := newWorld(t)
	x := w.things()
	in := Attach{Site: "NGH", Asset: "NGH-PETCT1", Service: "recon-ssh", Watch: x.session}
	for who, want := range map[string]int{"ada": 403, "adam": 404, "abroad": 404, "fay": 404, "al": 404, "nothing": 403} {
		w.problem(who+" watches", w.call(who, "POST", "/api/v1/attach", in), want)
	}
	work := in
	work.Watch = ""
	w.problem("ben works", w.call("ben", "POST", "/api/v1/attach", work), 403)
	for what, wrong := range map[string]Attach{
		"another scanner": {Site: "NGH", Asset: "NGH-CT2", Service: "recon-ssh", Watch: x.session},
		"another service": {Site: "NGH", Asset: "NGH-PETCT1", Service: "console-ssh", Watch: x.session},
		"no session":      {Site: "NGH", Asset: "NGH-PETCT1", Service: "recon-ssh", Watch: session.NewID().Session()},
		"a request":       {Site: "NGH", Asset: "NGH-PETCT1", Service: "recon-ssh", Watch: x.request},
	} {
		if a := w.call("ben", "POST", "/api/v1/attach", wrong); a.status/100 != 4 {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	for _, who := range []string{"ben", "audrey"} {
		ticket := get[Ticket](w, who, "POST", "/api/v1/attach", in)
		ws := w.connect(who)
		w.say(ws, websocket.MessageText, ticket.Ticket)
		o := get1(t, w.agents.opened)
		if o.Asset != "NGH-PETCT1" || o.Service != "recon-ssh" || o.Door != "attach" || o.By.Sub != who {
			t.Errorf("%s opened %+v", who, o)
		}
		w.must(o.conn.Close())
		w.closed(who, ws, websocket.StatusNormalClosure)
	}

	// A token goes to the agent, whose word it is.
	p := accesstest.Proof("ben")
	leave := Activation{Key: accesstest.NewKey(), Token: p.Token, Salt: p.Salt}
	if got := get[Watching](w, "ben", "POST", "/api/v1/sessions/"+x.session+"/watch", leave); got.Session != x.session || got.Until.IsZero() {
		t.Errorf("%+v", got)
	}
	engineers := accesstest.Proof("ada")
	leave.Token = engineers.Token
	a := w.problem("an engineer's token", w.call("ben", "POST", "/api/v1/sessions/"+x.session+"/watch", leave), 403)
	if !strings.Contains(a.Message, "does not let anybody watch") {
		t.Errorf("%+v", a)
	}

	// What is over is not watched.
	ticket := get[Ticket](w, "ben", "POST", "/api/v1/attach", in)
	get[Session](w, "ben", "POST", "/api/v1/sessions/"+x.session+"/kill", nil)
	ws := w.connect("ben")
	w.say(ws, websocket.MessageText, ticket.Ticket)
	if reason := w.closed("over", ws, codeMayNot); !strings.Contains(reason, "over") {
		t.Errorf("%q", reason)
	}
	w.problem("over", w.call("ben", "POST", "/api/v1/attach", in), 410)
}
