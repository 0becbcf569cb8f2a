package page

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/agent/console/provider"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// hospital is an identity provider that hands out whatever token it holds, and the agent
// behind the page, which believes it.
type hospital struct {
	*httptest.Server
	mu    sync.Mutex
	down  bool
	nonce string
	did   []string
	safe  *safe // passkeys; nil: there are none
}

func newHospital(t *testing.T) *hospital {
	h := &hospital{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		switch {
		case h.down:
			http.Error(w, "down", http.StatusBadGateway)
		case strings.HasSuffix(r.URL.Path, "openid-configuration"):
			_, _ = w.Write([]byte(`{"issuer":"` + h.URL + `","authorization_endpoint":"` + h.URL + `/a","token_endpoint":"` + h.URL + `/t"}`))
		default:
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"access_token":"x","token_type":"Bearer","id_token":"` + unsigned(h.URL, h.nonce) + `"}`))
		}
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hospital) set(do func()) { h.mu.Lock(); defer h.mu.Unlock(); do() }

func (h *hospital) list() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.did...)
}

func (h *hospital) Begin(ctx context.Context, q provider.Question) (*provider.Trip, error) {
	return provider.Provider{Issuer: session.Issuer{URL: h.URL, InsecureLoopback: true}, Client: "console"}.Begin(ctx, q)
}

// Visit takes the persona's name out of the code that the browser brought.
func (h *hospital) Visit(context.Context, string, string) (Visitor, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.did = append(h.did, "visit")
	who := Visitor{Person: session.Person{Identity: session.Identity{Iss: h.URL, Sub: "maya"}}, Name: "Maya", Approves: true}
	if strings.Contains(h.nonce, "operator") {
		who.Approves = false
	}
	return who, nil
}

func (h *hospital) Draft(id string, less grant.Less, _ Visitor) (*Draft, error) {
	if id != "R-1" {
		return nil, session.Errorf(session.Expired, "The window of this request is over.")
	}
	if less.MaxS > 1800 {
		return nil, session.Errorf(session.Refused, "That goes beyond what was asked for.")
	}
	d := &Draft{Request: Request{ID: id, Asset: "NGH-PETCT1", Who: "<b>Jana</b>"}, Grant: []byte(`{"maxs":` + string(rune('0'+less.MaxS%10)) + `}`), Allows: []string{"work"}}
	d.ByToken, d.ByKey = true, true
	d.Longest = []Option{{Value: "600", Words: "10 min"}}
	return d, nil
}

func (h *hospital) Approve(_ context.Context, d *Draft, who Visitor, p grant.Proof) (Outcome, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.did = append(h.did, "approve "+d.Request.ID+" "+who.Name)
	return Outcome{"Approved and admitted", "Fine."}, nil
}

func (h *hospital) Deny(id string, by Visitor, reason string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.did = append(h.did, "deny "+id+" "+by.Name+" "+reason)
	return nil
}

// unsigned is a token that nobody signed.
func unsigned(iss, nonce string) string {
	return b64(`{"alg":"none"}`) + "." + b64(`{"iss":"`+iss+`","sub":"maya","aud":"console","nonce":"`+nonce+`","iat":1,"exp":2}`) + "." + b64("x")
}

// goes presses what leads to the provider and says where the browser is sent, with the cookie
// of the trip.
func (s *stand) goes(h *hospital, path string, fields url.Values, token string) (back string, trip *http.Cookie, body string) {
	s.t.Helper()
	_, body, res := s.do("POST", path, fields, token, nil)
	_, to, ok := strings.Cut(res.Header.Get("Refresh"), "url=")
	if !ok {
		return "", nil, body
	}
	u, err := url.Parse(to)
	if err != nil {
		s.t.Fatal(err)
	}
	q := u.Query()
	if q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") == "" || len(q.Get("nonce")) != 43 || len(q.Get("state")) < 20 || q.Get("redirect_uri") != s.url+"/cb" {
		s.t.Errorf("it asks %v", q)
	}
	if fresh := q.Get("max_age") == "0" && q.Get("prompt") == "login"; fresh != (path == "/approve" || path == "/keys/fresh") {
		s.t.Errorf("a fresh login at %s: %v", path, fresh)
	}
	h.set(func() { h.nonce = q.Get("nonce") })
	for _, c := range res.Cookies() {
		if c.Name == tripCookie {
			trip = c
			if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" {
				s.t.Errorf("the trip's cookie is %+v", c)
			}
		}
	}
	return "/cb?code=c&state=" + q.Get("state"), trip, body
}

// comes is the browser that the provider sends back: from another site, so that it brings
// the trip's cookie alone.
func (s *stand) comes(back string, trip *http.Cookie) (int, string, string) {
	s.t.Helper()
	status, body, res := s.do("GET", back, nil, "", func(r *http.Request) {
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		if trip != nil {
			r.AddCookie(trip)
		}
	})
	for _, c := range res.Cookies() {
		if c.Name == cookie {
			if c.SameSite != http.SameSiteStrictMode || !c.HttpOnly || !c.Secure {
				s.t.Errorf("the cookie is %+v", c)
			}
			return status, body, c.Value
		}
	}
	return status, body, ""
}

func (s *stand) entersByName(h *hospital) string {
	s.t.Helper()
	back, trip, _ := s.goes(h, "/enter", nil, "")
	status, body, token := s.comes(back, trip)
	if status != 200 || token == "" {
		s.t.Fatalf("%d %s", status, body)
	}
	return token
}

// A person signs in by name, reads, signs and refuses. What is signed is what they read.
func TestApproversDecideOnThePage(t *testing.T) {
	h := newHospital(t)
	s := serveFor(t, true, h)
	token := s.entersByName(h)
	status, body, res := s.do("GET", "/decide?request=R-1", nil, token, nil)
	if status != 200 || !strings.Contains(body, "&lt;b&gt;Jana&lt;/b&gt;") || res.Header.Get("X-Frame-Options") != "DENY" || !strings.Contains(res.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
		t.Fatalf("%d %s", status, body)
	}
	hash := (&Draft{Grant: []byte(`{"maxs":0}`)}).Hash()
	if status, body, _ := s.do("POST", "/narrow", url.Values{"request": {"R-1"}, "longest": {"3600"}, "class": {"observe"}}, token, nil); status != session.Refused.Status() || !strings.Contains(body, "beyond") || !strings.Contains(body, hash) {
		t.Errorf("wider: %d %s", status, body)
	}
	back, trip, body := s.goes(h, "/approve", url.Values{"request": {"R-1"}, "grant": {hash}}, token)
	if back == "" {
		t.Fatal(body)
	}
	if status, body, again := s.comes(back, trip); status != 200 || !strings.Contains(body, "Approved and admitted") || again != "" {
		t.Errorf("%d %s", status, body)
	}
	if status, _, _ := s.comes(back, trip); status != http.StatusBadRequest {
		t.Errorf("the same answer again: %d", status)
	}
	for _, reason := range []string{"", " ", "two\nlines", strings.Repeat("x", maxReason+1), "\u202egnihton"} {
		if status, body, _ := s.do("POST", "/deny", url.Values{"request": {"R-1"}, "reason": {reason}}, token, nil); status < 400 || !strings.Contains(body, "Say why") {
			t.Errorf("refused because %q: %d", reason, status)
		}
	}
	if status, _, res := s.do("POST", "/deny", url.Values{"request": {"R-1"}, "reason": {"in use"}}, token, nil); status != http.StatusSeeOther || res.Header.Get("Location") != "/?done=denied" {
		t.Errorf("refuse: %d", status)
	}
	if got := strings.Join(h.list(), ", "); got != "visit, approve R-1 Maya, deny R-1 Maya in use" {
		t.Errorf("it did %s", got)
	}
}

// Who may not decide does not, however they try.
func TestNobodyElseDecidesOnThePage(t *testing.T) {
	h := newHospital(t)
	s := serveFor(t, true, h)
	hash := (&Draft{Grant: []byte(`{"maxs":0}`)}).Hash()
	forms := map[string]url.Values{
		"/narrow": {"request": {"R-1"}, "longest": {"600"}, "class": {"observe"}}, "/approve": {"request": {"R-1"}, "grant": {hash}}, "/deny": {"request": {"R-1"}, "reason": {"no"}},
	}
	none := func(who, token, words string) {
		t.Helper()
		if status, body, _ := s.do("GET", "/decide?request=R-1", nil, token, nil); status != session.Denied.Status() || !strings.Contains(body, words) {
			t.Errorf("%s reads: %d %s", who, status, body)
		}
		for path, form := range forms {
			if status, body, _ := s.do("POST", path, form, token, nil); status != session.Denied.Status() || !strings.Contains(body, words) {
				t.Errorf("%s, %s: %d %s", who, path, status, body)
			}
		}
	}
	none("a stranger", "", "needs a sign-in at the hospital&#39;s identity provider")
	none("who knows the PIN", s.signIn(), "the PIN names nobody")
	maya := s.entersByName(h)
	h.set(func() { h.did = nil })
	s.do("GET", "/decide?request=R-1", nil, maya, nil)
	for name, change := range map[string]func(*http.Request){
		"another origin":  func(r *http.Request) { r.Header.Set("Origin", "http://broker.example") },
		"another site":    func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"nothing said":    func(r *http.Request) { r.Header.Del("Origin"); r.Header.Del("Sec-Fetch-Site") },
		"another host":    func(r *http.Request) { r.Host = "broker.example" },
		"a form as a GET": func(r *http.Request) { r.Method = http.MethodGet },
	} {
		for path, form := range forms {
			if status, _, res := s.do("POST", path, form, maya, change); status < 400 || res.Header.Get("Refresh") != "" {
				t.Errorf("%s, %s: %d", name, path, status)
			}
		}
	}
	for _, bad := range []url.Values{{"request": {"R-1"}, "grant": {strings.Repeat("0", 64)}}, {"request": {"R-2"}, "grant": {hash}}, {"request": {"R-1"}}, {"request": {"R-1"}, "grant": {hash, hash}}, {"request": {"R-1"}, "grant": {hash}, "x": {""}}} {
		if back, _, body := s.goes(h, "/approve", bad, maya); back != "" || !strings.Contains(body, "Not done") {
			t.Errorf("%v is signed", bad)
		}
	}
	if status, body, _ := s.do("GET", "/decide?request=R-9", nil, maya, nil); status != session.Expired.Status() || !strings.Contains(body, "is over") {
		t.Errorf("an expired request: %d %s", status, body)
	}
	if did := h.list(); len(did) != 0 {
		t.Errorf("it did %v", did)
	}
}

// A trip ends in the browser that began it, once, in its time, and for whom it began.
func TestATripEndsWhereItBegan(t *testing.T) {
	h := newHospital(t)
	s := serveFor(t, true, h)
	maya := s.entersByName(h)
	hash := (&Draft{Grant: []byte(`{"maxs":0}`)}).Hash()
	begin := func() (string, *http.Cookie) {
		t.Helper()
		s.later(tripEvery)
		s.do("GET", "/decide?request=R-1", nil, maya, nil)
		back, trip, body := s.goes(h, "/approve", url.Values{"request": {"R-1"}, "grant": {hash}}, maya)
		if back == "" {
			t.Fatal(body)
		}
		return back, trip
	}
	back, trip := begin()
	other := *trip
	other.Value += "x"
	for name, c := range map[string]*http.Cookie{"no cookie": nil, "another browser's": &other} {
		if status, _, _ := s.comes(back, c); status != http.StatusBadRequest {
			t.Errorf("%s: %d", name, status)
		}
	}
	if status, _, _ := s.comes("/cb?code=c&state=x", trip); status != http.StatusBadRequest {
		t.Errorf("another state: %d", status)
	}
	for name, more := range map[string]string{"another issuer": "&iss=https://evil.example", "a refusal": "&error=access_denied", "two codes": "&code=d"} {
		back, trip := begin()
		if status, body, _ := s.comes(back+more, trip); status != session.Denied.Status() || !strings.Contains(body, "Not approved") {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	back, trip = begin()
	h.set(func() { h.nonce = strings.Repeat("n", 43) })
	if status, body, _ := s.comes(back, trip); status != session.Denied.Status() || !strings.Contains(body, "another question") {
		t.Errorf("another nonce: %d %s", status, body)
	}
	back, trip = begin()
	s.later(tripTime)
	if status, _, _ := s.comes(back, trip); status != http.StatusBadRequest {
		t.Errorf("too late: %d", status)
	}
	back, trip = begin()
	s.do("POST", "/signout", nil, maya, nil)
	if status, body, _ := s.comes(back, trip); status != session.Denied.Status() || !strings.Contains(body, "signed out") {
		t.Errorf("signed out meanwhile: %d %s", status, body)
	}
	for _, did := range h.list() {
		if strings.HasPrefix(did, "approve") {
			t.Errorf("it did %s", did)
		}
	}
	t.Log("ATTACK | approve on the agent's page by a PIN, from another origin, with another's answer or twice | nothing is approved | 0 approvals | holds")
}

// With the provider down the page says so, and the PIN goes on to work.
func TestWithoutTheProviderThePINWorks(t *testing.T) {
	h := newHospital(t)
	s := serveFor(t, true, h)
	h.set(func() { h.down = true })
	_, body, _ := s.do("POST", "/enter", nil, "", nil)
	if !strings.Contains(body, "does not answer") || !strings.Contains(body, "The PIN and everything on this page but approving work without it") {
		t.Errorf("%s", body)
	}
	token := s.signIn()
	if status, _, _ := s.do("POST", "/thaw", url.Values{"all": {"yes"}}, token, nil); status != http.StatusSeeOther {
		t.Errorf("thaw: %d", status)
	}
	for range tripsAtOnce {
		_, body, _ = s.do("POST", "/enter", nil, "", nil)
	}
	if !strings.Contains(body, "Too many go to the identity provider from here") {
		t.Errorf("after many: %s", body)
	}
}

// One person, and one network, have a share of the sign-ins and of the trips.
func TestSignInsHaveShares(t *testing.T) {
	now := time.Unix(1e9, 0)
	s := newSignIns(nil, func() time.Time { return now })
	maya, elena := &Visitor{Person: session.Person{Identity: session.Identity{Sub: "maya"}}}, &Visitor{Person: session.Person{Identity: session.Identity{Sub: "elena"}}}
	s.enter("b", elena)
	for range maxOfOne * 3 {
		now = now.Add(time.Second)
		s.enter("a", maya)
	}
	if len(s.who) != maxOfOne+1 {
		t.Errorf("%d sign-ins", len(s.who))
	}
	for range maxSignIns {
		now = now.Add(time.Second)
		s.enter("a", nil)
	}
	n := 0
	for _, v := range s.who {
		if v.network == "b" {
			n++
		}
	}
	if len(s.who) != maxOfNetwork+1 || n != 1 {
		t.Errorf("%d sign-ins, %d of another network", len(s.who), n)
	}
	out := newTrips(func() time.Time { return now })
	for i := range maxTrips {
		out.add(&trip{Trip: &provider.Trip{State: strings.Repeat("s", i+1)}, since: now.Add(time.Duration(i)), network: "a"})
	}
	if len(out.out) != maxTripsOf {
		t.Errorf("%d trips of one network", len(out.out))
	}
}

// FuzzDecisions takes any form and any query: nothing is done that is not well formed.
func FuzzDecisions(f *testing.F) {
	for _, seed := range []string{"request=R-1&longest=600&class=observe&channel-shell=on", "request=R-1&grant=00", "request=R-1&reason=no", "%", "a=1&a=2", "longest=-1", "longest=99999999999999999999"} {
		f.Add(seed, "application/x-www-form-urlencoded")
	}
	h := &hospital{}
	p := newPage(f.Context(), Config{Settings: Settings{Listen: "127.0.0.1:7443"}, Board: func() Board { return Board{} }, Provider: h, Decisions: h, Now: time.Now, Log: quiet()})
	token := p.signIns.enter("a", &Visitor{Name: "Maya", Approves: true})
	handler := p.handler()
	f.Fuzz(func(t *testing.T, form, kind string) {
		for _, path := range []string{"/narrow", "/approve", "/deny", "/cb", "/decide"} {
			r := httptest.NewRequest(http.MethodPost, "https://127.0.0.1:7443"+path, strings.NewReader(form))
			if path == "/cb" || path == "/decide" {
				r = httptest.NewRequest(http.MethodGet, "https://127.0.0.1:7443"+path, nil)
				r.URL.RawQuery = form
			}
			r.Header.Set("Content-Type", kind)
			r.Header.Set("Origin", "https://127.0.0.1:7443")
			r.AddCookie(&http.Cookie{Name: cookie, Value: token})
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code >= 500 && w.Code != http.StatusBadGateway {
				t.Fatalf("%s %q: %d %s", path, form, w.Code, w.Body)
			}
		}
		for _, did := range h.list() {
			if !strings.HasPrefix(did, "deny ") {
				t.Fatalf("it did %s", did)
			}
		}
	})
}
