package api

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/broker/audit"
	"github.com/sallyport/sallyport/broker/identity"
	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/broker/store/storetest"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/replay"
	"github.com/sallyport/sallyport/recordings/replay/terminal"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// doors knows people by tokens that are their names.
type doors struct {
	people map[string]identity.Caller
	down   atomic.Bool

	mu    sync.Mutex
	moved sync.Cond       // a counter changed
	over  map[string]bool // logins that ended
	looks map[string]int  // by login
	uses  map[string]int
}

// end ends a login.
func (d *doors) end(login string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over == nil {
		d.over = map[string]bool{}
	}
	d.over[login] = true
}

func (d *doors) Alive(_ context.Context, who identity.Caller) (identity.Caller, error) {
	login := who.Login
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.looks == nil {
		d.looks = map[string]int{}
	}
	d.looks[login]++
	d.moved.Broadcast()
	c, ok := d.people[strings.TrimSuffix(login, "'s login")]
	switch {
	case d.down.Load():
		return identity.Caller{}, session.Errorf(session.Unreachable, "the store is away").WithNext("Wait.")
	case !ok || d.over[login]:
		return identity.Caller{}, &session.Error{Kind: session.Denied, Message: "Your login is over.", Next: "Sign in.", Err: identity.ErrNotSignedIn}
	}
	c.Login = login
	return c, nil
}

func (d *doors) Use(_ context.Context, who identity.Caller) error {
	login := who.Login
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.uses == nil {
		d.uses = map[string]int{}
	}
	d.uses[login]++
	d.moved.Broadcast()
	return nil
}

// count reads one of the counters.
func (d *doors) count(of *map[string]int, login string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return (*of)[login]
}

// await waits until a counter has grown by n.
func (d *doors) await(of *map[string]int, login string, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for want := (*of)[login] + n; (*of)[login] < want; {
		d.moved.Wait()
	}
}

func (d *doors) Login(context.Context, identity.Attempt) (identity.Granted, error) {
	return identity.Granted{}, errors.New("not here")
}

func (d *doors) Authenticate(_ context.Context, bearer string) (identity.Caller, error) {
	if d.down.Load() {
		return identity.Caller{}, session.Errorf(session.Unreachable, "the store is away").WithNext("Wait.")
	}
	c, ok := d.people[bearer]
	if !ok {
		return identity.Caller{}, &session.Error{Kind: session.Denied, Message: "You are not signed in.", Next: "Run sallyport login.", Err: identity.ErrNotSignedIn}
	}
	c.Login = bearer + "'s login"
	return c, nil
}

func (d *doors) Glance(ctx context.Context, bearer string) (identity.Caller, error) {
	return d.Authenticate(ctx, bearer)
}

func (d *doors) Logout(context.Context, string) error { return nil }

func caller(iss, sub string, side session.Side, role session.Role, sites ...string) identity.Caller {
	return identity.Caller{Person: session.Person{Identity: session.Identity{Iss: "https://" + iss, Sub: sub}, Email: sub + "@" + iss},
		Side: side, Roles: []session.Role{role}, Sites: sites, Expires: start.Add(time.Hour)}
}

// people are the principals of every matrix.
func people() map[string]identity.Caller {
	return map[string]identity.Caller{
		"ada":     caller("vendor", "ada", session.VendorSide, session.Engineer, "*"),
		"adam":    caller("vendor", "adam", session.VendorSide, session.Engineer, "*"),
		"abroad":  caller("vendor", "abroad", session.VendorSide, session.Engineer, "XYZ"),
		"ben":     caller("hospital", "ben", session.HospitalSide, session.Approver, "NGH"),
		"audrey":  caller("hospital", "audrey", session.HospitalSide, session.Auditor, "NGH"),
		"fay":     caller("elsewhere", "fay", session.HospitalSide, session.Approver, "XYZ"),
		"al":      caller("elsewhere", "al", session.HospitalSide, session.Auditor, "XYZ"),
		"nothing": caller("vendor", "nothing", session.VendorSide, ""),
	}
}

// shelf is a vault that can break off.
type shelf struct {
	content string
	before  error
	after   error
	checked atomic.Int32
}

func (s *shelf) Pack(ctx context.Context, site, recording string, w io.Writer) error {
	return s.Assemble(ctx, site, recording, w)
}

func (s *shelf) Assemble(_ context.Context, site, recording string, w io.Writer) error {
	if _, err := session.ParseRecordingID(recording); err != nil || site != "NGH" {
		return errors.New("asked for " + site + " " + recording)
	}
	if s.before != nil {
		return s.before
	}
	if _, err := io.WriteString(w, s.content); err != nil {
		return err
	}
	return s.after
}

// projector shows one recording, of two parts.
type projector struct {
	live  bool
	wrong error
	asked []string
}

func (p *projector) Replay(_ context.Context, site, recording string) (replay.Overview, string, error) {
	tag := recording + ".1"
	if p.live {
		tag = ""
	}
	return replay.Overview{Started: start, Length: recordings.Length{Segments: 2, At: 9e6}, Index: replay.Index{Read: 8e6, Activity: []int64{5},
		Channels: []replay.Channel{{Stream: 1, Kind: session.Shell, Text: "shell", Terminal: true, At: 1, End: -1}},
		Markers:  []replay.Marker{{At: 1, Kind: replay.Shell, Text: "shell"}},
		States:   []replay.State{{At: 2, Is: session.Scanning}}}}, tag, p.wrong
}

func (p *projector) Part(_ context.Context, site, recording string, n int) (replay.Part, error) {
	return replay.Part{N: uint32(n), From: 1, To: 5e6, Complete: true, Screens: []terminal.Screen{{Stream: 3, Cols: 80, Rows: 24, Draw: []byte("up")}},
		Consoles: []replay.Console{{Stream: 4, Draw: []byte("up")}},
		Events:   []replay.Event{{At: 1, Stream: 1, Kind: "c", Data: "80x24"}, {At: 2, Stream: 1, Kind: "o", Data: "aGk="}, {At: 3, Stream: 4, Kind: "t", Data: "aGk="}}}, p.wrong
}

func (p *projector) Moment(ctx context.Context, site, recording string, at int64) (replay.Part, error) {
	return p.Part(ctx, site, recording, int(at/5e6))
}

func (p *projector) Thumb(_ context.Context, site, recording string, at int64, most int) ([]byte, error) {
	return fmt.Appendf(nil, "\x89PNG of %s at %d, %d", site, at, most), p.wrong
}

func (p *projector) Transcript(_ context.Context, site, recording string, from uint32) (replay.Text, string, error) {
	return replay.Text{Lines: []terminal.Line{{At: 2, Stream: 1, Text: strings.Repeat("hi ", 500)}}, To: 2, Next: from + 1, Whole: true}, recording + ".1", p.wrong
}

func (p *shelf) Check(_ context.Context, site, recording string) (access.Verdict, error) {
	p.checked.Add(1)
	return access.Verdict{Verdict: "intact", Signer: "known", Segments: 3, Countersigned: true, Logged: true, Message: "The broker checked 3 segments."}, nil
}

// world is the whole door on a real listener.
type world struct {
	t       *testing.T
	url     string
	now     atomic.Int64
	agent   *accesstest.Agents
	access  *access.Access
	doors   *doors
	vault   *shelf
	agents  *agents
	live    *Live
	replays *projector
	audit   *audit.Log
	// of other nodes, and nodes of which there is no log here
	elsewhere []*audit.Log
	lost      session.Nodes
	door      *door
	api       huma.API
	store     *store.Store
	redis     *miniredis.Miniredis

	listener net.Listener // of its own, where a test needs one
}

// Nodes are this broker's node, and others where a test has some.
func (w *world) Nodes() session.Nodes {
	all := session.Nodes{w.audit.Node()}
	for _, l := range w.elsewhere {
		all = append(all, l.Node())
	}
	return append(all, w.lost...)
}

func (w *world) OpenLog(_ context.Context, origin string) (AuditLog, error) {
	for _, l := range append([]*audit.Log{w.audit}, w.elsewhere...) {
		if l.Node().Origin == origin {
			return l, nil
		}
	}
	return nil, fs.ErrNotExist
}

func (w *world) clock() time.Time { return time.Unix(0, w.now.Load()) }

func newWorld(t *testing.T, change ...func(*world, *Config)) *world {
	t.Helper()
	w := &world{t: t, doors: &doors{people: people()}, vault: &shelf{content: "SALLY\x00bytes"}, replays: &projector{}, redis: miniredis.RunT(t)}
	w.now.Store(start.UnixNano())
	w.doors.moved.L = &w.doors.mu
	url := "redis://" + w.redis.Addr()
	t.Cleanup(func() { storetest.Described(t, url) })
	s, err := store.Open(t.Context(), store.Config{URL: url, Ephemeral: true})
	w.must(err)
	t.Cleanup(func() { s.Close() })
	w.store = s
	w.agent = &accesstest.Agents{Site: "NGH", Name: "main", Now: w.clock}
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	w.audit, err = audit.Open(audit.Config{Dir: t.TempDir(), Key: key, Origin: "broker.example.org", Now: w.clock})
	w.must(err)
	t.Cleanup(func() { w.must(w.audit.Close()) })
	run, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- w.audit.Run(run) }()
	t.Cleanup(func() { stop(); <-ran })
	w.access, err = access.New(access.Config{Documents: s, Listing: s, Wholes: s, Agents: w.agent, Audit: w.audit, Now: w.clock})
	w.must(err)
	w.must(w.access.Announce(t.Context(), w.agent.Hello("NGH-PETCT1")))
	w.agents = &agents{opened: make(chan opened, 16)}
	lc := LiveConfig{URL: origin, Access: w.access, Logins: w.doors, Changes: s, Passing: s, Streams: w.agents, Now: w.clock}
	c := Config{Version: "v1", Node: "n1", SSH: SSHDoor{Address: "127.0.0.1:2222", HostKey: "ssh-ed25519 AAAA"},
		Identity: w.doors, Web: Web{URL: broker, Browsers: w.doors}, Access: w.access, Vault: w.vault, Replays: w.replays, Thumbs: w.replays, Digest: func(_, r string) { w.replays.asked = append(w.replays.asked, r) }, Audit: w, Now: w.clock, Checks: []Check{{Name: "store", Works: s.Ping}}}
	c.Live = &Live{cfg: lc}
	for _, f := range change {
		f(w, &c)
	}
	w.live, err = NewLive(c.Live.cfg)
	w.must(err)
	c.Live = w.live
	w.door, err = newDoor(c)
	w.must(err)
	handler, api, err := w.door.build()
	w.must(err)
	w.api = api
	server := httptest.NewUnstartedServer(atHome(handler))
	Harden(server.Config)
	if w.listener != nil {
		server.Listener.Close()
		server.Listener = w.listener
	}
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(w.live.Close)
	w.url = server.URL
	return w
}

// atHome has calls to the test's own address come by the broker's name.
func atHome(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if at, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && r.Host == at.String() {
			r.Host = strings.TrimPrefix(broker, "https://")
		}
		h.ServeHTTP(w, r)
	})
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// answered is an answer off the wire.
type answered struct {
	status int
	header http.Header
	body   []byte
}

// call sends one call. A second passes between calls, so that no rate is reached.
func (w *world) call(token, method, path string, body any) answered {
	w.t.Helper()
	w.now.Add(int64(time.Second))
	return w.send(token, method, path, body)
}

func (w *world) send(token, method, path string, body any) answered {
	w.t.Helper()
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		w.must(err)
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, r)
	w.must(err)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return w.do(req)
}

func (w *world) do(req *http.Request) answered {
	w.t.Helper()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	w.must(err)
	defer resp.Body.Close()
	if resp.Header.Get("Content-Type") == "text/event-stream" { // it does not end
		return answered{resp.StatusCode, resp.Header, []byte(frame(w.t, bufio.NewReader(resp.Body)))}
	}
	b, err := io.ReadAll(resp.Body)
	w.must(err)
	return answered{resp.StatusCode, resp.Header, b}
}

// get calls and decodes a good answer.
func get[T any](w *world, token, method, path string, body any) T {
	w.t.Helper()
	a := w.call(token, method, path, body)
	var v T
	if a.status < 200 || a.status > 299 {
		w.t.Fatalf("%s %s as %s: %d %s", method, path, token, a.status, a.body)
	}
	d := json.NewDecoder(bytes.NewReader(a.body))
	d.DisallowUnknownFields()
	if len(a.body) > 0 {
		w.must(d.Decode(&v))
	}
	return v
}

// problem checks that an answer is a problem that a person can act on.
func (w *world) problem(what string, a answered, status int) Problem {
	w.t.Helper()
	var p Problem
	d := json.NewDecoder(bytes.NewReader(a.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		w.t.Fatalf("%s: %d %q is no problem: %v", what, a.status, a.body, err)
	}
	if a.status != status || p.Status != status || a.header.Get("Content-Type") != problemType || p.Kind == "" ||
		p.Message == "" || p.Detail != p.Message || p.Next == "" || p.Title == "" || strings.ContainsAny(p.Message, "\n\x1b") {
		w.t.Errorf("%s: %d %s %s, want %d", what, a.status, a.header.Get("Content-Type"), a.body, status)
	}
	return p
}

// submission is a request of somebody's, ready to be posted.
func (w *world) submission(sub string) Submission { return w.asking(sub, "tube arcs") }

// asking is submission for a reason.
func (w *world) asking(sub, reason string) Submission {
	r := accesstest.Request(people()[sub].Identity, "NGH", "NGH-PETCT1", w.clock())
	r.Reason = reason
	raw := accesstest.Bytes(r)
	p := accesstest.Proof(sub)
	return Submission{Request: raw, Token: p.Token, Salt: p.Salt}
}

func (w *world) decision(request []byte, sub string) Decision {
	p := accesstest.Proof(sub)
	return Decision{Grant: accesstest.Bytes(w.agent.Grant(request)), Token: p.Token, Salt: p.Salt}
}

// things is one of everything of ada's at NGH: a pending request, a live session
// and a recording.
type things struct {
	pending, request, session, recording string
	raw                                  []byte
}

func (w *world) things() things {
	w.t.Helper()
	s := w.submission("ada")
	open := get[Request](w, "ada", "POST", "/api/v1/requests", w.submission("ada"))
	r := get[Request](w, "ada", "POST", "/api/v1/requests", s)
	d := get[Decided](w, "ben", "POST", "/api/v1/requests/"+r.ID+"/approvals", w.decision(s.Request, "ben"))
	rec := session.NewID().Recording()
	w.must(w.access.ReportSession(w.t.Context(), "NGH", "main", link.SessionReport{
		Session: *d.Request.Grant, Request: r.ID, Seq: 1, Asset: "NGH-PETCT1", Service: "recon-ssh", Opened: w.clock(),
		Deadline:   w.clock().Add(30 * time.Minute),
		Recordings: []link.RecordingReport{{Recording: rec, Service: "recon-ssh", Protocol: session.SSH, Started: w.clock()}},
	}))
	all := get[[]Request](w, "ada", "GET", "/api/v1/requests", nil)
	if !slices.ContainsFunc(all, func(x Request) bool { return x.ID == open.ID }) {
		w.t.Fatal("the pending request is not listed")
	}
	docs := get[Documents](w, "ben", "GET", "/api/v1/requests/"+open.ID+"/documents", nil)
	return things{pending: open.ID, request: r.ID, session: *d.Request.Grant, recording: rec, raw: docs.Request}
}
