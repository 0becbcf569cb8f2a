package roundtrip

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

func (b *browser) decode(a answered, v any) {
	b.t.Helper()
	if a.status != 200 {
		b.t.Fatalf("%d %s", a.status, a.body)
	}
	b.must(json.Unmarshal(a.body, v))
}

// events counts the audit log's, and checks that none holds a token.
func (w *world) events() map[string]int {
	w.t.Helper()
	entries, err := w.audit.Entries(0, w.audit.Size())
	w.must(err)
	kinds := map[string]int{}
	for _, raw := range entries {
		e, err := witness.ParseEvent(raw)
		w.must(err)
		kinds[e.Event]++
		if strings.Contains(string(raw), "eyJ") {
			w.t.Errorf("a token in the audit log: %s", raw)
		}
	}
	if l := w.log.String(); strings.Contains(l, "eyJ") || strings.Contains(l, "code=") || strings.Contains(l, "state=") {
		w.t.Errorf("secrets in the log: %s", l)
	}
	return kinds
}

// me is who a browser is.
func (b *browser) me() session.Identity {
	var l api.Login
	b.decode(b.call("GET", "/api/v1/me", nil), &l)
	return l.Person.Identity
}

// ask is what the page makes of a request form.
func (b *browser) ask() api.ProofStart {
	doc := accesstest.Bytes(accesstest.Request(b.me(), "NGH", "NGH-PETCT1", b.clock()))
	salt := grant.NewSalt()
	return api.ProofStart{Role: "request", Document: doc, Salt: salt[:], Nonce: grant.RequestNonce(doc, salt)}
}

// approval is what the page makes of an approval.
func (b *browser) approval(request string) api.ProofStart {
	var docs api.Documents
	b.decode(b.call("GET", "/api/v1/requests/"+request+"/documents", nil), &docs)
	doc, salt := accesstest.Bytes(b.agent.Grant(docs.Request)), grant.NewSalt()
	return api.ProofStart{Role: "approve", ID: request, Document: doc, Salt: salt[:], Nonce: grant.ApproveNonce(doc, docs.Token, salt), Popup: true}
}

// activation is what the page makes of a key that joins.
func (b *browser) activation(request string) api.ProofStart {
	var docs api.Documents
	b.decode(b.call("GET", "/api/v1/requests/"+request+"/documents", nil), &docs)
	key, salt := accesstest.NewKey(), grant.NewSalt()
	return api.ProofStart{Role: "activate", ID: request, Key: key, Salt: salt[:], Nonce: grant.ActivateNonce(docs.Grant, key, salt)}
}

// prove is a whole round trip.
func (b *browser) prove(p api.ProofStart) api.Outcome {
	b.t.Helper()
	to := b.back(b.visit(b.url0(b.call("POST", "/auth/proofs", p))))
	if !strings.HasPrefix(to, "/done/") {
		b.t.Fatalf("sent to %s", to)
	}
	return b.outcome(to)
}

func TestRequestApproveActivate(t *testing.T) {
	w := newWorld(t)
	eng, app := w.browser(), w.browser()
	eng.signIn(engineer)
	app.signIn(approver)
	asked := eng.prove(eng.ask())
	id, err := session.ParseRequestID(asked.Request)
	if err != nil || !asked.OK || asked.Role != "request" || asked.Return != "/requests/"+asked.Request {
		t.Fatalf("asked: %+v", asked)
	}
	address := app.url0(app.call("POST", "/auth/proofs", app.approval(asked.Request)))
	if q, _ := url.Parse(address); q.Query().Get("max_age") != "0" || q.Query().Get("prompt") != "login" || q.Query().Get("login_hint") != approver ||
		q.Query().Get("code_challenge_method") != "S256" || q.Query().Get("client_id") != "sallyport-web" {
		t.Errorf("an approval is asked for at %s", address)
	}
	if o := app.outcome(app.back(app.visit(address))); !o.OK || !o.Admitted || !o.Popup || o.Request != asked.Request {
		t.Fatalf("approved: %+v", o)
	}
	if o := eng.prove(eng.activation(asked.Request)); !o.OK || o.Role != "activate" {
		t.Fatalf("activated: %+v", o)
	}
	if e := w.agent.Entry(id.Request()); !e.Admitted || e.Keys != 2 {
		t.Errorf("the agent has %+v", e)
	}
	kinds := w.events()
	for _, want := range []string{witness.LoggedIn, witness.Requested, witness.Approved, witness.Activated} {
		if kinds[want] == 0 {
			t.Errorf("no %s in the audit log: %v", want, kinds)
		}
	}
}

// scene is an engineer and an approver, one of whom is on the way back.
type scene struct {
	eng, app *browser
	q        url.Values // the provider's answer
}

func (s *scene) disable() {
	a := s.app.call("POST", "/api/v1/engineers/disable", api.Standing{Site: "NGH", Iss: s.eng.me().Iss, Sub: s.eng.me().Sub, Reason: "left"})
	if a.status != 200 {
		s.app.t.Fatalf("disable: %d %s", a.status, a.body)
	}
}

// deny refuses the request that is being approved.
func (s *scene) deny() {
	var all []api.Request
	s.app.decode(s.app.call("GET", "/api/v1/requests", nil), &all)
	s.app.decode(s.app.call("POST", "/api/v1/requests/"+all[0].ID+"/deny", api.Denial{Reason: "in use"}), &api.Request{})
}

// Proofs that come back and prove nothing. to is where the browser must be sent.
func TestProofsThatFail(t *testing.T) {
	hint := func(email string) func(string) string {
		return func(address string) string {
			u, _ := url.Parse(address)
			q := u.Query()
			q.Set("login_hint", email)
			u.RawQuery = q.Encode()
			return u.String()
		}
	}
	same := func(s string) string { return s }
	lie := func(name string, value any) func(*scene) {
		return func(s *scene) {
			for _, p := range []*provider{s.eng.vendor, s.eng.hospital} {
				p.lie(func(_, claims map[string]any) {
					if claims[name] = value; value == nil {
						delete(claims, name)
					}
				})
			}
		}
	}
	for name, c := range map[string]struct {
		approve bool
		bend    func(string) string
		spoil   func(*scene)
		to      string
		want    string
	}{
		"somebody else signs in":    {false, hint(engineer2), func(*scene) {}, "/done/", "You are j.brandt@meridian.example here, but signed in at your identity provider as l.ortega@meridian.example."},
		"another approver signs in": {true, hint("e.rossi@northfield.example"), func(*scene) {}, "/done/", "as e.rossi@northfield.example."},
		"the auditor signs in":      {true, hint(auditor), func(*scene) {}, "/done/", "as s.adeyemi@northfield.example."},
		"signed out meanwhile":      {false, same, func(s *scene) { s.eng.call("POST", "/api/v1/logout", nil) }, "/signin?", "Your login here ended before you were back."},
		"signed out elsewhere": {true, same, func(s *scene) {
			w := s.app.world.browser()
			w.signIn(approver)
			w.call("POST", "/api/v1/logins/end", api.EndLogins{Everywhere: true})
		}, "/signin?", "Your login here ended"},
		"another nonce":              {false, same, lie("nonce", strings.Repeat("A", 43)), "/done/", "made for something else"},
		"no nonce":                   {true, same, lie("nonce", nil), "/done/", "made for something else"},
		"an earlier login":           {true, same, lie("auth_time", float64(time.Date(2026, 5, 4, 11, 50, 0, 0, time.UTC).Unix())), "/done/", ""},
		"a login of unknown age":     {true, same, lie("auth_time", nil), "/done/", ""},
		"the agent is away":          {false, same, func(s *scene) { s.eng.agent.SetOnline(false) }, "/done/", "The agent at NGH is not connected."},
		"cancelled":                  {false, same, func(s *scene) { s.q.Del("code"); s.q.Set("error", "access_denied") }, "/done/", "You cancelled"},
		"another browser comes back": {false, same, func(s *scene) { delete(s.eng.cookies, flowCookie) }, "/signin?", elsewhere},
		"too late":                   {true, same, func(s *scene) { s.app.pass(11 * time.Minute) }, "/signin?", stale},
		"the engineer was disabled":  {false, same, func(s *scene) { s.disable() }, "/done/", "NGH disabled the access of this engineer."},
		"the request was denied":     {true, same, func(s *scene) { s.deny() }, "/done/", ""},
		"the issuer's name is wrong": {true, same, func(s *scene) { s.q.Set("iss", s.app.vendor.Issuer()) }, "/done/", wrongIss},
		"the other side's provider":  {false, same, func(s *scene) { s.q.Set("iss", s.eng.hospital.Issuer()) }, "/done/", wrongIss},
		"the answer to another proof": {false, same, func(s *scene) {
			s.q.Set("code", s.eng.visit(s.eng.url0(s.eng.call("POST", "/auth/proofs", s.eng.ask()))).Get("code"))
		}, "/done/", noConfirm},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := &scene{eng: w.browser(), app: w.browser()}
			s.eng.signIn(engineer)
			s.app.signIn(approver)
			b, proof := s.eng, api.ProofStart{}
			if c.approve {
				b, proof = s.app, s.app.approval(s.eng.prove(s.eng.ask()).Request)
			} else {
				proof = s.eng.ask()
			}
			before := len(w.agent.Arrived())
			s.q = b.visit(c.bend(b.url0(b.call("POST", "/auth/proofs", proof))))
			c.spoil(s)
			to := b.back(s.q)
			if !strings.HasPrefix(to, c.to) {
				t.Fatalf("sent to %s", to)
			}
			if o := b.outcome(to); o.OK || o.Admitted || !strings.Contains(o.Problem.Message, c.want) {
				t.Errorf("told %+v", o.Problem)
			}
			for _, what := range w.agent.Arrived()[before:] {
				if what == "request" || what == "approval" {
					t.Errorf("the agent got a %s", what)
				}
			}
			w.events()
		})
	}
}

// An outcome is for the login that asked, for ten minutes.
func TestOutcomesAreOnesOwn(t *testing.T) {
	w := newWorld(t)
	b, twin, other := w.browser(), w.browser(), w.browser()
	b.signIn(engineer)
	twin.signIn(engineer)
	other.signIn(approver)
	to := b.back(b.visit(b.url0(b.call("POST", "/auth/proofs", b.ask()))))
	path := "/auth/outcomes/" + strings.TrimPrefix(to, "/done/")
	stranger := w.browser()
	stranger.cookies[flowCookie] = b.cookies[flowCookie]
	for name, x := range map[string]*browser{"another login": twin, "somebody else": other, "the browser without its login": stranger, "nobody": w.browser()} {
		if a := x.call("GET", path, nil); a.status != 404 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if o := b.outcome(to); !o.OK {
		t.Errorf("%+v", o)
	}
	w.now.Add(int64(11 * time.Minute)) // the store is slow to forget
	if a := b.call("GET", path, nil); a.status != 404 {
		t.Errorf("later: %d %s", a.status, a.body)
	}
}

func TestProofsAreLimited(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.signIn(engineer)
	for i := range 12 {
		a := b.call("POST", "/auth/proofs", b.ask())
		if (a.status == 429) != (i >= 10) {
			t.Fatalf("proof %d: %d %s", i+1, a.status, a.body)
		}
	}
}
