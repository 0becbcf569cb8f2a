package roundtrip

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// wayBack is a sign-in that the provider has answered.
type wayBack struct {
	*browser
	q      url.Values
	change []func(*http.Request)
}

func set(pairs ...string) func(*wayBack) {
	return func(x *wayBack) {
		for i := 0; i < len(pairs); i += 2 {
			x.q.Set(pairs[i], pairs[i+1])
		}
	}
}

func without(name string) func(*wayBack) { return func(x *wayBack) { x.q.Del(name) } }

func twice(name string) func(*wayBack) {
	return func(x *wayBack) { x.q.Add(name, x.q.Get(name)) }
}

// claim makes the provider lie in the token.
func claim(name string, value any) func(*wayBack) {
	return func(x *wayBack) {
		x.vendor.lie(func(_, claims map[string]any) {
			if claims[name] = value; value == nil {
				delete(claims, name)
			}
		})
	}
}

// claimOnly is claim without another one.
func claimOnly(name string, value any, gone string) func(*wayBack) {
	return func(x *wayBack) {
		x.vendor.lie(func(_, claims map[string]any) {
			claims[name] = value
			delete(claims, gone)
		})
	}
}

func says(f http.HandlerFunc) func(*wayBack) { return func(x *wayBack) { x.vendor.say(f) } }

const (
	stale     = "This sign-in is too old, was used before, or was not started here."
	elsewhere = "This sign-in was started in another browser."
	noConfirm = "Your identity provider did not confirm the sign-in."
	wrongIss  = "The answer did not come from your identity provider."
	away      = "does not answer."
)

// badReturns are ways to come back that sign nobody in, and what the page says of each.
func badReturns() map[string]struct {
	spoil func(*wayBack)
	want  string
} {
	type c = struct {
		spoil func(*wayBack)
		want  string
	}
	again := func(x *wayBack) url.Values { return x.visit(x.leave(engineer, "/")) }
	return map[string]c{
		"no state":        {without("state"), stale},
		"an empty state":  {set("state", ""), stale},
		"two states":      {twice("state"), stale},
		"a made-up state": {set("state", strings.Repeat("A", 43)), stale},
		"no flow cookie":  {func(x *wayBack) { delete(x.cookies, flowCookie) }, elsewhere},
		"a wrong cookie":  {func(x *wayBack) { x.cookies[flowCookie] = strings.Repeat("A", 43) }, elsewhere},
		"an empty cookie": {func(x *wayBack) { x.cookies[flowCookie] = "" }, elsewhere},
		"two flow cookies": {func(x *wayBack) {
			x.change = append(x.change, func(r *http.Request) { r.Header.Add("Cookie", flowCookie+"=x") })
		}, elsewhere},
		"the state of another browser": {func(x *wayBack) {
			x.q = x.world.browser().steal(engineer)
		}, elsewhere},
		"a state used before": {func(x *wayBack) {
			x.back(x.q)
			delete(x.cookies, loginCookie)
		}, stale},
		"a state used before, after a refusal": {func(x *wayBack) {
			x.back(url.Values{"state": x.q["state"], "iss": x.q["iss"], "error": {"access_denied"}})
		}, stale},
		"a code used before": {func(x *wayBack) {
			used := x.q.Get("code")
			x.back(x.q)
			delete(x.cookies, loginCookie)
			x.q = again(x)
			x.q.Set("code", used)
		}, noConfirm},
		"the code of another trip": {func(x *wayBack) { x.q.Set("code", again(x).Get("code")) }, noConfirm},
		"a made-up code":           {set("code", "x"), noConfirm},
		"two codes":                {twice("code"), "Your identity provider did not sign you in"},
		"no code":                  {without("code"), "Your identity provider did not sign you in"},
		"another issuer's name":    {func(x *wayBack) { x.q.Set("iss", x.hospital.Issuer()) }, wrongIss},
		"no issuer's name":         {without("iss"), wrongIss},
		"two issuers' names":       {twice("iss"), wrongIss},
		"another issuer's door":    {func(x *wayBack) { x.door = session.Issuer{URL: x.hospital.Issuer()}.WebRedirect("") }, wrongIss},
		"another's door and no name": {func(x *wayBack) {
			x.q.Del("iss")
			x.door = session.Issuer{URL: x.hospital.Issuer()}.WebRedirect("")
		}, wrongIss},
		"no door that is anybody's": {func(x *wayBack) { x.door = session.CallbackPath + "..%2f..%2fx" }, wrongIss},
		"an issuer with a slash":    {func(x *wayBack) { x.q.Set("iss", x.vendor.Issuer()+"/") }, wrongIss},
		"cancelled":                 {func(x *wayBack) { x.q.Del("code"); x.q.Set("error", "access_denied") }, "You cancelled"},
		"an error beside a code":    {set("error", "server_error"), "did not sign you in (server_error)"},
		"an error in markup":        {set("error", "<script>alert(1)</script>"), "did not sign you in (no reason)"},
		"eleven minutes later":      {func(x *wayBack) { x.pass(11 * time.Minute) }, stale},
		"late, in a slow store":     {func(x *wayBack) { x.now.Add(int64(10 * time.Minute)) }, stale},
		"another nonce":             {claim("nonce", strings.Repeat("A", 43)), "made for something else"},
		"no nonce":                  {claim("nonce", nil), "made for something else"},
		"another application":       {claim("aud", "sallyport-cli"), "made for another application"},
		"two applications":          {claim("aud", []string{"sallyport-web", "other"}), "made for another application"},
		"another issuer's token":    {func(x *wayBack) { claim("iss", x.hospital.Issuer())(x) }, "does not come from the identity provider"},
		"no subject":                {claim("sub", nil), "does not say whom"},
		"an old token":              {claim("iat", float64(time.Date(2026, 5, 4, 11, 0, 0, 0, time.UTC).Unix())), ""},
		"a token that is over":      {claim("exp", float64(time.Date(2026, 5, 4, 11, 0, 0, 0, time.UTC).Unix())), ""},
		"too many groups":           {claimOnly("hasgroups", true, "groups"), "too many"},
		"no groups":                 {claim("groups", nil), "none of the groups"},
		"a hospital's groups":       {claim("groups", []string{"scanner-approvers", "auditors"}), "none of the groups"},
		"no signature":              {func(x *wayBack) { x.vendor.lie(func(h, _ map[string]any) { h["alg"] = "none" }) }, ""},
		"a token endpoint redirect": {says(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/jwks", http.StatusFound) }), noConfirm},
		"a token endpoint that floods": {says(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"access_token":"x","id_token":"` + strings.Repeat("x", 300<<10) + `"}`))
		}), away},
		"a token endpoint that fails": {says(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }), away},
		"a token endpoint without a token": {says(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"access_token":"x","token_type":"Bearer"}`))
		}), noConfirm},
		"a provider that is gone": {func(x *wayBack) { x.vendor.srv.Close() }, away},
	}
}

// steal is a sign-in that its browser never finishes.
func (b *browser) steal(email string) url.Values { return b.visit(b.leave(email, "/")) }

func TestNobodyComesBackWith(t *testing.T) {
	for name, c := range badReturns() {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			x := &wayBack{browser: w.browser()}
			x.q = x.visit(x.leave(engineer, "/"))
			c.spoil(x)
			to := x.back(x.q, x.change...)
			if !strings.HasPrefix(to, "/signin?problem=") || x.cookies[loginCookie] != "" {
				t.Fatalf("sent to %s with a login %q", to, x.cookies[loginCookie])
			}
			if o := x.outcome(to); o.OK || o.Role != "login" || !strings.Contains(o.Problem.Message, c.want) {
				t.Errorf("told %+v", *o.Problem)
			}
			if x.in() {
				t.Error("signed in all the same")
			}
			if kinds := x.events(); (kinds[witness.LoginRefused] == 0) != (c.want == away) {
				t.Errorf("in the audit log: %v", kinds)
			}
		})
	}
}

func TestPeopleWhoMayNotSignIn(t *testing.T) {
	w := newWorld(t)
	for _, email := range []string{"guest@meridian.example", "crossed@meridian.example", "guest@northfield.example", "crossed@northfield.example"} {
		b := w.browser()
		to := b.back(b.visit(b.leave(email, "/")))
		if o := b.outcome(to); b.in() || !strings.Contains(o.Problem.Message, "none of the groups") {
			t.Errorf("%s: %s", email, to)
		}
		if a := w.browser().call("GET", "/auth/outcomes/"+strings.TrimPrefix(to, "/signin?problem="), nil); a.status != 404 {
			t.Errorf("another browser reads of %s: %d %s", email, a.status, a.body)
		}
	}
	b := w.browser()
	for email, want := range map[string]string{"": "not an e-mail", "a": "not an e-mail", "@meridian.example": "not an e-mail", "a@": "not an e-mail",
		"a b@meridian.example": "not an e-mail", "a@evil.example": "No identity provider here answers for that address.", "a@meridian.example.evil": "No identity"} {
		b.pass(time.Minute)
		if a := b.call("POST", "/auth/login", api.LoginStart{Email: email}); a.status != 400 || !strings.Contains(string(a.body), want) {
			t.Errorf("%q: %d %s", email, a.status, a.body)
		}
	}
	// Nobody is told who comes here: not on the page, and not by asking for one who does not.
	options := b.call("GET", "/auth/options", nil)
	b.pass(time.Minute)
	no := b.call("POST", "/auth/login", api.LoginStart{Email: "a@evil.example"})
	for _, domain := range []string{"meridian.example", "northfield.example", "evil.example"} {
		if said := strings.ReplaceAll(string(options.body), engineer, ""); strings.Contains(said+string(no.body), domain) {
			t.Errorf("%s is told: %s %s", domain, said, no.body)
		}
	}
}

// Whoever starts sign-ins without end, and comes back with made-up codes, has nothing written
// down, and keeps nobody of their network from signing in.
func TestStrangersWriteNothingAndLockNobodyOut(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	w.browser().signIn(approver) // the day's key is made
	before := len(w.redis.Keys())
	for i := range 500 {
		w.pass(50 * time.Millisecond) // no more than one address may call
		if a := b.call("POST", "/auth/login", api.LoginStart{Email: engineer}); a.status != 200 {
			t.Fatalf("start %d: %d %s", i+1, a.status, a.body)
		}
	}
	if after := len(w.redis.Keys()); after > before {
		t.Errorf("500 sign-ins that were only started left %d keys", after-before)
	}
	q := b.visit(b.leave(engineer, "/"))
	q.Set("code", "made-up")
	for range 200 {
		w.pass(50 * time.Millisecond)
		b.back(q)
		b.back(url.Values{"state": {strings.Repeat("A", 43)}})
	}
	if after := len(w.redis.Keys()); after > before+70 {
		t.Errorf("400 made-up answers left %d keys", after-before)
	}
	for range 10 {
		w.browser().signIn(engineer)
	}
	t.Logf("ATTACK | 500 sign-ins started and 400 made-up answers of one address | nothing kept of starts; everybody there signs in | 0 keys; 10 of 10 signed in | holds")
}

func TestLoginsAreLimited(t *testing.T) {
	w := newWorld(t)
	for range 20 {
		w.pass(50 * time.Millisecond)
		w.browser().signIn(engineer)
	}
	b := w.browser()
	if o := b.outcome(b.back(b.visit(b.leave(engineer, "/")))); b.in() || o.Problem.Status != 429 {
		t.Errorf("the 21st sign-in of a minute: %+v", o)
	}
}

func TestSigningInAndOut(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	if a := b.call("POST", "/auth/login", api.LoginStart{Persona: "engineer", Return: "/live"}); a.status != 200 || b.back(b.visit(b.url0(a))) != "/live" || !b.in() {
		t.Fatalf("a persona: %d %s", a.status, a.body)
	}
	first := b.cookies[loginCookie]
	b.signIn(engineer)
	if second := b.cookies[loginCookie]; first == second {
		t.Error("a login that is renewed keeps its secret")
	}
	old := w.browser()
	old.cookies[loginCookie] = first
	if old.in() {
		t.Error("the login that was replaced still holds")
	}
	// Two tabs, one browser: each comes back to its own page.
	one, two := b.leave(engineer, "/one"), b.leave(engineer, "/two")
	if x, y := b.back(b.visit(two)), b.back(b.visit(one)); x != "/two" || y != "/one" {
		t.Errorf("two tabs end at %s and %s", x, y)
	}
	if a := b.call("POST", "/api/v1/logout", nil); a.status != 204 || b.cookies[loginCookie] != "" || b.in() {
		t.Errorf("logout: %d %s", a.status, a.body)
	}
}

func TestLoginsEndWithTime(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.signIn(engineer)
	w.pass(14 * time.Minute)
	if !b.in() {
		t.Fatal("over before its time")
	}
	w.pass(15 * time.Minute)
	if b.in() {
		t.Error("idle for 15 minutes and still signed in")
	}
	b.signIn(approver)
	for range 47 { // ten minutes each
		w.pass(10 * time.Minute)
		if !b.in() {
			t.Fatal("a busy login ended early")
		}
	}
	w.pass(10 * time.Minute)
	if b.in() {
		t.Error("signed in for eight hours")
	}
	// Looking whether a login is alive does not keep it so; using it does.
	b.signIn(engineer)
	who, err := w.people.Browser(t.Context(), b.cookies[loginCookie])
	w.must(err)
	w.pass(10 * time.Minute)
	if _, err := w.people.Alive(t.Context(), who); err != nil {
		t.Errorf("alive: %v", err)
	}
	w.pass(6 * time.Minute)
	if _, err := w.people.Alive(t.Context(), who); err == nil || b.in() {
		t.Error("asking kept the login alive")
	}
	// A stream that a page opens again by itself is not use either, whatever it says that it
	// wants; here it is let in and refused for where it would go on.
	b.signIn(engineer)
	for i := range 2 {
		w.pass(8 * time.Minute)
		a := b.call("GET", "/api/v1/events", nil, func(r *http.Request) {
			r.Header.Set("Accept", []string{"text/event-stream", "*/*"}[i])
			r.Header.Set("Last-Event-ID", strings.Repeat("A", 601))
		})
		if want := []int{400, 401}[i]; a.status != want {
			t.Errorf("stream %d: %d %s", i, a.status, a.body)
		}
	}
	if b.in() {
		t.Error("a stream kept the login alive")
	}
	// Any other call is, and no header makes it a stream.
	b.signIn(engineer)
	for range 2 {
		w.pass(8 * time.Minute)
		b.call("GET", "/api/v1/me", nil, func(r *http.Request) { r.Header.Set("Accept", "text/event-stream") })
	}
	if !b.in() {
		t.Error("a call that names a stream is not use")
	}
	b.signIn(engineer)
	who, err = w.people.Browser(t.Context(), b.cookies[loginCookie])
	w.must(err)
	for range 3 {
		w.pass(10 * time.Minute)
		w.must(w.people.Use(t.Context(), who))
	}
	if !b.in() {
		t.Error("a login in use ended")
	}
}

func TestEverywhereAndOneByOne(t *testing.T) {
	w := newWorld(t)
	var all []*browser
	for range 3 {
		b := w.browser()
		b.signIn(engineer)
		all = append(all, b)
	}
	other := w.browser()
	other.signIn(engineer2)
	list := entries(all[0])
	if len(list) != 3 || entries(other)[0].Current != true {
		t.Fatalf("logins: %+v", list)
	}
	for _, e := range list {
		if a := other.call("POST", "/api/v1/logins/end", api.EndLogins{ID: e.ID}); a.status != 404 {
			t.Errorf("somebody else's login: %d %s", a.status, a.body)
		}
	}
	for _, e := range entries(all[2]) {
		if e.Current {
			if a := all[0].call("POST", "/api/v1/logins/end", api.EndLogins{ID: e.ID}); a.status != 204 {
				t.Errorf("one of mine: %d %s", a.status, a.body)
			}
		}
	}
	if all[2].in() || !all[1].in() || !all[0].in() {
		t.Error("the wrong login ended")
	}
	if a := all[0].call("POST", "/api/v1/logins/end", api.EndLogins{Everywhere: true}); a.status != 204 || all[0].cookies[loginCookie] != "" {
		t.Errorf("everywhere: %d %s", a.status, a.body)
	}
	if all[0].in() || all[1].in() || !other.in() {
		t.Error("everywhere means every login of mine, and nobody else's")
	}
	kinds := w.events()
	if kinds[witness.LoggedIn] != 4 || kinds[witness.LoggedOut] != 2 {
		t.Errorf("in the audit log: %v", kinds)
	}
}

func entries(b *browser) (all []api.LoginEntry) {
	b.t.Helper()
	b.decode(b.call("GET", "/api/v1/logins", nil), &all)
	return all
}
