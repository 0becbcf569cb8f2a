package roundtrip

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/broker/audit"
	"github.com/sallyport/sallyport/broker/identity"
	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/broker/store/storetest"
	"github.com/sallyport/sallyport/cmd/internal/devidp"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/idtoken"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// provider is one identity provider, whose token endpoint can be made to lie.
type provider struct {
	*devidp.Provider
	srv    *httptest.Server
	twist  atomic.Pointer[func(header, claims map[string]any)] // changes tokens before they are signed
	answer atomic.Pointer[http.HandlerFunc]                    // stands in for the token endpoint
}

// world is a broker's door between two identity providers and an agent that polices.
type world struct {
	t        *testing.T
	url      string
	now      atomic.Int64
	redis    *miniredis.Miniredis
	people   *identity.Identity
	access   *access.Access
	agent    *accesstest.Agents
	audit    *audit.Log
	log      *loud
	vendor   *provider
	hospital *provider
	inside   *inside // of the hospital, where only its agent reaches the provider; nil: everybody does
}

// loud keeps what the broker logs.
type loud struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *loud) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *loud) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (w *world) clock() time.Time { return time.Unix(0, w.now.Load()) }

// pass lets time go by, for the broker, its store and the providers.
func (w *world) pass(d time.Duration) {
	w.now.Add(int64(d))
	w.redis.FastForward(d)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// keys are made once for each side: an RSA key takes a good part of a second.
var keys = map[devidp.Side]func() []byte{devidp.Vendor: sync.OnceValue(makeKey), devidp.Hospital: sync.OnceValue(makeKey)}

func makeKey() []byte {
	dir, err := os.MkdirTemp("", "roundtrip")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "key")
	if _, err := devidp.New(devidp.Config{Issuer: "http://127.0.0.1:1", KeyFile: file, People: devidp.People(devidp.Vendor),
		Clients: []devidp.Client{{ID: "x", Native: true}}}); err != nil {
		panic(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	return b
}

func (w *world) provider(side devidp.Side) *provider {
	p := &provider{srv: httptest.NewUnstartedServer(nil)}
	w.t.Cleanup(p.srv.Close)
	file := filepath.Join(w.t.TempDir(), "key")
	w.must(os.WriteFile(file, keys[side](), 0o600))
	people := append(devidp.People(side), devidp.Person{Sub: "guest", Email: "guest@" + domain(side), Name: "Guest", Groups: []string{"visitors"}},
		devidp.Person{Sub: "both", Email: "both@" + domain(side), Name: "Both sides' groups", Groups: []string{session.GroupEngineers, session.GroupApprovers}},
		devidp.Person{Sub: "crossed", Email: "crossed@" + domain(side), Name: "Other side's groups",
			Groups: map[devidp.Side][]string{devidp.Vendor: {session.GroupApprovers, session.GroupAuditors}, devidp.Hospital: {session.GroupEngineers}}[side]})
	issuer := "http://" + p.srv.Listener.Addr().String()
	if side == devidp.Hospital && w.inside != nil {
		issuer, w.inside.address = "http://"+nowhere, p.srv.Listener.Addr().String()
	}
	var err error
	p.Provider, err = devidp.New(devidp.Config{Issuer: issuer, Name: side.Name(), People: people, KeyFile: file, Now: w.clock,
		Clients: []devidp.Client{{ID: "sallyport-web", Redirects: []string{session.Issuer{URL: issuer}.WebRedirect(w.url)}}, {ID: "sallyport-cli", Native: true}}})
	w.must(err)
	p.srv.Config.Handler = p
	p.srv.Start()
	return p
}

func domain(side devidp.Side) string {
	return map[devidp.Side]string{devidp.Vendor: "meridian.example", devidp.Hospital: "northfield.example"}[side]
}

// ServeHTTP lies at the token endpoint where the test wants that.
func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f := p.answer.Load(); f != nil && r.URL.Path == "/token" {
		(*f)(w, r)
		return
	}
	twist := p.twist.Load()
	if twist == nil || r.URL.Path != "/token" {
		p.Provider.ServeHTTP(w, r)
		return
	}
	honest := httptest.NewRecorder()
	p.Provider.ServeHTTP(honest, r)
	var answer map[string]any
	if json.Unmarshal(honest.Body.Bytes(), &answer) != nil || honest.Code != 200 {
		w.WriteHeader(honest.Code)
		return
	}
	parts := strings.Split(answer["id_token"].(string), ".")
	body, _ := base64.RawURLEncoding.DecodeString(parts[1])
	header, claims := map[string]any{"alg": "RS256", "typ": "JWT", "kid": p.KeyID()}, map[string]any{}
	_ = json.Unmarshal(body, &claims)
	(*twist)(header, claims)
	answer["id_token"], _ = p.Sign(header, claims)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

func (p *provider) lie(f func(header, claims map[string]any)) { p.twist.Store(&f) }

func (p *provider) say(f http.HandlerFunc) { p.answer.Store(&f) }

// shelf is a vault with nothing in it.
type shelf struct{}

func (shelf) Assemble(context.Context, string, string, io.Writer) error { return os.ErrNotExist }
func (shelf) Pack(context.Context, string, string, io.Writer) error     { return os.ErrNotExist }
func (shelf) Check(context.Context, string, string) (access.Verdict, error) {
	return access.Verdict{}, os.ErrNotExist
}

// unused are rooms of the door into which no round trip leads.
type unused struct {
	api.Replays
	api.Thumbs
	api.Streams
}

// verifier checks tokens as the broker does.
type verifier struct{ keys *idtoken.KeySets }

func (v verifier) Verify(ctx context.Context, issuer, compact string, e idtoken.Expect) (idtoken.Claims, error) {
	k, ok := v.keys.For(issuer)
	if !ok {
		return idtoken.Claims{}, session.Errorf(session.Denied, "who is %s", issuer)
	}
	return idtoken.Verify(ctx, k, compact, e)
}

func newWorld(t *testing.T, change ...func([]identity.Issuer)) *world {
	t.Helper()
	return openWorld(t, with{}, change...)
}

// with is what a world may have instead of its own.
type with struct {
	inside  *inside           // only the hospital's agent reaches the hospital's provider
	issuers []identity.Issuer // of providers that nobody here wrote, whose clock is the real one
	agent   access.Agents
	url     *httptest.Server // of the broker, where its address was needed before
}

func openWorld(t *testing.T, o with, change ...func([]identity.Issuer)) *world {
	t.Helper()
	w := &world{t: t, redis: miniredis.RunT(t), log: &loud{}, inside: o.inside}
	w.now.Store(time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC).UnixNano())
	if o.issuers != nil {
		w.now.Store(time.Now().UnixNano())
	}
	server := o.url
	if server == nil {
		server = httptest.NewUnstartedServer(nil)
		t.Cleanup(server.Close)
	}
	w.url = "http://" + server.Listener.Addr().String()
	log := slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	url := "redis://" + w.redis.Addr()
	t.Cleanup(func() { storetest.Described(t, url) })
	st, err := store.Open(t.Context(), store.Config{URL: url, Ephemeral: true})
	w.must(err)
	t.Cleanup(func() { st.Close() })
	w.audit, err = audit.Open(audit.Config{Dir: t.TempDir(), Key: ed25519.NewKeyFromSeed(make([]byte, 32)), Origin: "broker", Now: w.clock})
	w.must(err)
	t.Cleanup(func() { w.must(w.audit.Close()) })
	run, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- w.audit.Run(run) }()
	t.Cleanup(func() { stop(); <-ran })
	w.agent = &accesstest.Agents{Site: "NGH", Name: "main", Now: w.clock}
	if o.agent == nil {
		o.agent = w.agent
	}
	w.access, err = access.New(access.Config{Documents: st, Listing: st, Wholes: st, Agents: o.agent, Audit: w.audit, Now: w.clock, Log: log})
	w.must(err)
	w.must(w.access.Announce(t.Context(), w.agent.Hello("NGH-PETCT1")))
	issuers := o.issuers
	if issuers == nil {
		issuers = w.issuers()
	}
	for _, f := range change {
		f(issuers)
	}
	reach := func(i session.Issuer) idtoken.Options {
		o := idtoken.Options{Now: w.clock, MaxStale: time.Hour}
		if w.inside != nil && i.URL == w.hospital.Issuer() {
			o.Through = w.inside.open(t, i)
		}
		return o
	}
	for i := range issuers {
		issuers[i].Client = idtoken.Client(issuers[i].Issuer, reach(issuers[i].Issuer))
	}
	var pinned []session.Issuer
	for _, i := range issuers {
		pinned = append(pinned, i.Issuer)
	}
	sets, err := idtoken.NewKeySets(pinned, reach)
	w.must(err)
	w.people, err = identity.New(identity.Config{BrokerURL: w.url, Issuers: issuers, Tokens: verifier{sets}, Sessions: st, Attempts: st, Audit: w.audit, Now: w.clock, Log: log,
		Nonce: func(subject, extra, salt [32]byte) string { return grant.Nonce(grant.RoleLogin, subject, extra, salt) }, Web: identity.Web{Shelf: st}})
	w.must(err)
	live, err := api.NewLive(api.LiveConfig{URL: w.url, Access: w.access, Logins: w.people, Changes: st, Passing: st, Streams: unused{}, Now: w.clock, Log: log})
	w.must(err)
	t.Cleanup(live.Close)
	handler, err := api.New(api.Config{Version: "1", Node: "n1", Identity: w.people, Access: w.access, Vault: shelf{}, Replays: unused{}, Thumbs: unused{}, Live: live, Audit: oneLog{w.audit}, Now: w.clock, Log: log,
		Web: api.Web{URL: w.url, Browsers: w.people, Demo: true, Personas: []api.Persona{{Key: "engineer", Email: "j.brandt@meridian.example", Role: session.Engineer}}}})
	w.must(err)
	server.Config.Handler = handler
	server.Start()
	return w
}

// issuers are the two development providers.
func (w *world) issuers() []identity.Issuer {
	w.vendor, w.hospital = w.provider(devidp.Vendor), w.provider(devidp.Hospital)
	clients := map[string]session.ClientClass{"sallyport-cli": session.CLI, "sallyport-web": session.Web}
	return []identity.Issuer{
		{Issuer: session.Issuer{URL: w.vendor.Issuer(), Side: session.VendorSide, Domains: []string{"meridian.example"}, Clients: clients, Login: "sallyport-cli", InsecureLoopback: true}, Sites: []string{"NGH"}},
		{Issuer: session.Issuer{URL: w.hospital.Issuer(), Side: session.HospitalSide, Domains: []string{"northfield.example"},
			Clients: map[string]session.ClientClass{"sallyport-web": session.Web}, Login: "sallyport-cli", InsecureLoopback: true}, Sites: []string{"NGH"}},
	}
}

// browser is one browser: the broker's cookies in a map that tests may change, and a
// jar for the providers.
type browser struct {
	*world
	cookies map[string]string
	idp     *http.Client
	door    string // the path at which the provider's last answer came
}

const (
	loginCookie = "__Host-sallyport"
	flowCookie  = "__Host-sallyport-flow"
)

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	w.must(err)
	b := &browser{world: w, cookies: map[string]string{}, door: session.CallbackPath + "0badc0de", idp: &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true, DialContext: w.inside.dial},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	return b
}

// answered is an answer off the wire.
type answered struct {
	status int
	header http.Header
	body   []byte
}

// call calls the broker as one of its pages would.
func (b *browser) call(method, path string, body any, change ...func(*http.Request)) answered {
	b.t.Helper()
	b.now.Add(int64(50 * time.Millisecond))
	data, err := json.Marshal(body)
	b.must(err)
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, bytes.NewReader(data))
	b.must(err)
	if method != http.MethodGet {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Origin", b.url)
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for name, value := range b.cookies {
		// The login is Strict: a browser does not send it on the way back.
		if name != loginCookie || !strings.HasPrefix(path, "/auth/callback") {
			req.AddCookie(&http.Cookie{Name: name, Value: value})
		}
	}
	for _, f := range change {
		f(req)
	}
	resp, err := b.idp.Transport.RoundTrip(req)
	b.must(err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	b.must(err)
	for _, c := range resp.Cookies() {
		if !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" {
			b.t.Errorf("a weak cookie: %s", c)
		}
		if b.cookies[c.Name] = c.Value; c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return answered{resp.StatusCode, resp.Header, got}
}

// leave begins a sign-in and gives the provider's address.
func (b *browser) leave(email, back string) string {
	b.t.Helper()
	return b.url0(b.call("POST", "/auth/login", api.LoginStart{Email: email, Return: back}))
}

func (b *browser) url0(a answered) string {
	b.t.Helper()
	var v api.Departure
	if a.status != 200 || json.Unmarshal(a.body, &v) != nil {
		b.t.Fatalf("not sent off: %d %s", a.status, a.body)
	}
	return v.URL
}

// visit goes to the provider, and on as it is sent, and brings back the answer with which it
// is sent to the broker, by redirect or by a form that its page posts.
func (b *browser) visit(address string) url.Values {
	b.t.Helper()
	for range 6 {
		resp, err := b.idp.Get(address)
		b.must(err)
		page, err := io.ReadAll(resp.Body)
		b.must(err)
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK && b.formTo(string(page)) {
			form := url.Values{}
			for _, field := range postedField.FindAllStringSubmatch(string(page), -1) {
				form.Add(field[1], html.UnescapeString(field[2]))
			}
			return b.post(form)
		}
		to, err := resp.Request.URL.Parse(resp.Header.Get("Location"))
		b.must(err)
		if resp.StatusCode != http.StatusSeeOther && resp.StatusCode != http.StatusFound {
			b.t.Fatalf("the provider answered %d %s %s", resp.StatusCode, to, page)
		}
		if strings.HasPrefix(to.String(), b.url+session.CallbackPath) {
			b.door = to.Path
			return to.Query()
		}
		address = to.String()
	}
	b.t.Fatal("the provider sends the browser in circles")
	return nil
}

// formTo reports whether a page posts to the broker, and remembers where.
func (b *browser) formTo(page string) bool {
	found := postedTo.FindStringSubmatch(page)
	if found == nil || !strings.HasPrefix(found[1], b.url+session.CallbackPath) {
		return false
	}
	b.door = strings.TrimPrefix(found[1], b.url)
	return true
}

var postedTo = regexp.MustCompile(`action="([^"]*)"`)

var postedField = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`)

// post is what a browser does with a form from another site: its cookies stay behind.
func (b *browser) post(form url.Values) url.Values {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.url+b.door, strings.NewReader(form.Encode()))
	b.must(err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	resp, err := b.idp.Transport.RoundTrip(req)
	b.must(err)
	resp.Body.Close()
	to, err := url.Parse(resp.Header.Get("Location"))
	b.must(err)
	if to.Path != b.door {
		b.t.Fatalf("a posted answer: %d %s", resp.StatusCode, to)
	}
	return to.Query()
}

// back comes back with an answer, and says where the broker sends the browser.
func (b *browser) back(q url.Values, change ...func(*http.Request)) string {
	b.t.Helper()
	a := b.call("GET", b.door+"?"+q.Encode(), nil, change...)
	if a.status != http.StatusSeeOther {
		b.t.Fatalf("the callback answered %d %s", a.status, a.body)
	}
	return a.header.Get("Location")
}

// signIn is a whole sign-in.
func (b *browser) signIn(email string) {
	b.t.Helper()
	if to := b.back(b.visit(b.leave(email, "/inbox?x=1"))); to != "/inbox?x=1" || b.cookies[loginCookie] == "" {
		b.t.Fatalf("%s was sent to %s: %s", email, to, b.outcome(to).Problem.Message)
	}
}

// outcome reads what the page that the browser was sent to would read.
func (b *browser) outcome(to string) api.Outcome {
	b.t.Helper()
	trip := strings.TrimPrefix(strings.TrimPrefix(to, "/done/"), "/signin?problem=")
	a := b.call("GET", "/auth/outcomes/"+trip, nil)
	var o api.Outcome
	d := json.NewDecoder(bytes.NewReader(a.body))
	d.DisallowUnknownFields()
	if a.status != 200 || d.Decode(&o) != nil {
		b.t.Fatalf("outcome of %s: %d %s", to, a.status, a.body)
	}
	if p := o.Problem; o.OK != (p == nil) || p != nil && (p.Message == "" || p.Next == "" || strings.Contains(p.Next, "sallyport login")) {
		b.t.Errorf("outcome of %s: %s", to, a.body)
	}
	return o
}

// in says whether the browser is signed in.
func (b *browser) in() bool {
	b.t.Helper()
	switch a := b.call("GET", "/api/v1/me", nil); a.status {
	case 200:
		return true
	case 401:
		return false
	default:
		b.t.Fatalf("me: %d %s", a.status, a.body)
		return false
	}
}

const (
	engineer  = "j.brandt@meridian.example"
	engineer2 = "l.ortega@meridian.example"
	approver  = "m.okafor@northfield.example"
	auditor   = "s.adeyemi@northfield.example"
)

// oneLog is a broker of one node.
type oneLog struct{ *audit.Log }

func (l oneLog) Nodes() session.Nodes { return session.Nodes{l.Node()} }

func (l oneLog) OpenLog(context.Context, string) (api.AuditLog, error) { return l.Log, nil }
