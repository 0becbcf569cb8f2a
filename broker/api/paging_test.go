package api

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/access/accesstest"
	"github.com/sallyport/sallyport/broker/identity"
	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// pagedList is one of the API's lists as somebody reads it, and what of it stands still.
type pagedList struct {
	route string
	query string
	who   string
	id    func(map[string]any) string
	stays []string
}

func itsID(x map[string]any) string { return x["id"].(string) }

// Whoever pages through a list sees what stood in it all the while once, whatever others
// add, change and end meanwhile.
func TestPagesHoldWhileOthersWrite(t *testing.T) {
	w := newWorld(t, onRealServer)
	s := newScene(w, 12)
	lists := s.lists()
	for id, op := range operations(w.api) {
		if _, paged := op.Responses["200"]; paged && op.Responses["200"].Headers["X-Next"] != nil &&
			!slices.ContainsFunc(lists, func(l pagedList) bool { return l.route == id }) {
			t.Errorf("nobody pages through %s here", id)
		}
	}
	stop, work := make(chan struct{}), sync.WaitGroup{}
	for n, write := range []func(int){s.requests, s.requests, s.scanners, s.changes} {
		work.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					write(n*1_000_000 + i)
				}
			}
		})
	}
	defer work.Wait()
	defer close(stop)
	for _, l := range lists {
		seen := map[string]int{}
		for after, page := "", 0; ; page++ {
			a := w.call(l.who, "GET", "/api/v1/"+strings.TrimPrefix(l.route, "list-")+"?limit=1&"+l.query+"&after="+url.QueryEscape(after), nil)
			var some []map[string]any
			if err := json.Unmarshal(a.body, &some); err != nil || a.status != 200 || len(some) > 1 {
				t.Fatalf("%s as %s: %d %s", l.route, l.who, a.status, a.body)
			}
			for _, x := range some {
				seen[l.id(x)]++
			}
			if after = a.header.Get("X-Next"); after == "" {
				break
			}
		}
		for id, times := range seen {
			if times != 1 {
				t.Errorf("%s?%s as %s: %s comes %d times", l.route, l.query, l.who, id, times)
			}
		}
		for _, id := range l.stays {
			if seen[id] != 1 {
				t.Errorf("%s?%s as %s: %s, which stood there all the while, comes %d times", l.route, l.query, l.who, id, seen[id])
			}
		}
	}
}

// scene is what stands still in every list, and writers beside it.
type scene struct {
	*world
	pending, granted, live, ended, recordings, scanners0, engineers []string
	second                                                          *accesstest.Agents
}

// newScene puts n things into each list, by as many engineers.
func newScene(w *world, n int) *scene {
	s := &scene{world: w, second: &accesstest.Agents{Site: "NGH", Name: "second"}}
	both := caller("vendor", "both", session.VendorSide, session.Engineer, "NGH") // is listed under both roles
	both.Roles = append(both.Roles, session.Approver)
	w.doors.people["both"] = both
	names := []string{"NGH-PETCT1"}
	for i := range n {
		names = append(names, fmt.Sprintf("NGH-CT%d", i))
	}
	w.must(w.access.Announce(w.t.Context(), w.agent.Hello(names...)))
	for _, name := range names {
		s.scanners0 = append(s.scanners0, "NGH/"+name)
	}
	ada := w.doors.people["ada"]
	for i := range n {
		s.pending = append(s.pending, s.ask(ada).ID)
		s.granted = append(s.granted, s.grant(ada).ID)
		live := s.grant(ada)
		s.live = append(s.live, *live.Grant)
		s.recordings = append(s.recordings, s.open(live, ""))
		over := s.grant(ada)
		s.ended = append(s.ended, *over.Grant)
		s.recordings = append(s.recordings, s.open(over, session.Completed))
		e := caller("vendor", fmt.Sprintf("e%d", i), session.VendorSide, session.Engineer, "NGH")
		s.engineers = append(s.engineers, e.Sub)
		s.ask(e)
	}
	return s
}

// lists are all of them, as each role reads them.
func (s *scene) lists() (all []pagedList) {
	requests, sessions := slices.Concat(s.pending, s.granted), slices.Concat(s.live, s.ended)
	name := func(key string) func(map[string]any) string {
		return func(x map[string]any) string { return x["site"].(string) + "/" + x[key].(string) }
	}
	for _, who := range []string{"ada", "ben", "both"} {
		all = append(all,
			pagedList{"list-requests", "", who, itsID, requests}, pagedList{"list-requests", "status=pending", who, itsID, s.pending},
			pagedList{"list-requests", "status=approved", who, itsID, s.granted},
			pagedList{"list-sessions", "", who, itsID, sessions}, pagedList{"list-sessions", "state=live", who, itsID, s.live},
			pagedList{"list-recordings", "", who, itsID, s.recordings}, pagedList{"list-assets", "", who, name("name"), s.scanners0})
	}
	return append(all, pagedList{"list-assets", "site=NGH", "audrey", name("name"), s.scanners0},
		pagedList{"list-engineers", "", "ben", func(x map[string]any) string { return x["sub"].(string) }, s.engineers})
}

func (s *scene) ask(who identity.Caller) access.Request {
	raw := accesstest.Bytes(accesstest.Request(who.Identity, "NGH", "NGH-PETCT1", s.clock()))
	r, err := s.access.Submit(s.t.Context(), who, raw, accesstest.Proof(who.Sub))
	s.check(err)
	return r
}

func (s *scene) grant(who identity.Caller) access.Request {
	ben, r := s.doors.people["ben"], s.ask(who)
	d, err := s.access.Documents(s.t.Context(), ben, r.ID)
	s.check(err)
	r, _, err = s.access.Approve(s.t.Context(), ben, r.ID, accesstest.Bytes(s.agent.Grant(d.Request)), accesstest.Proof("ben"))
	s.check(err)
	return r
}

// open opens a granted session with a recording of its own, and ends it if why is given.
func (s *scene) open(r access.Request, why session.EndReason) (recording string) {
	recording = session.NewID().Recording()
	id, _ := session.ParseRecordingID(recording)
	s.check(s.access.AppendPart(s.t.Context(), "NGH", "main", id, "head", 1)) // before anybody knows whose it is
	now := s.clock()
	report := link.SessionReport{Session: *r.Grant, Request: r.ID, Seq: 1, Asset: r.Asset, Service: "recon-ssh", Opened: now, Deadline: now.Add(8 * time.Hour),
		Recordings: []link.RecordingReport{{Recording: recording, Service: "recon-ssh", Protocol: session.SSH, Started: now}}}
	s.check(s.access.ReportSession(s.t.Context(), "NGH", "main", report))
	if why != "" {
		report.Seq, report.Ended, report.Reason = 2, now, why
		s.check(s.access.ReportSession(s.t.Context(), "NGH", "main", report))
	}
	return recording
}

// check is must for those who may not end the test.
func (s *scene) check(err error) {
	if err != nil {
		s.t.Error(err)
	}
}

// requests adds requests, sessions, recordings and engineers, and takes them away.
func (s *scene) requests(i int) {
	who := caller("vendor", fmt.Sprintf("new%d", i), session.VendorSide, session.Engineer, "NGH")
	if i%3 == 0 {
		who = s.doors.people["both"]
	}
	r := s.ask(who)
	if _, err := s.access.Withdraw(s.t.Context(), who, r.ID); err != nil {
		s.t.Error(err)
	}
	s.open(s.grant(who), session.Completed)
}

// scanners lets scanners of another agent come and go.
func (s *scene) scanners(i int) {
	s.check(s.access.Announce(s.t.Context(), s.second.Hello(fmt.Sprintf("NGH-MR%d", i%5), fmt.Sprintf("NGH-MR%d", 5+i%3))))
}

// changes changes what stays.
func (s *scene) changes(i int) {
	ben := s.doors.people["ben"]
	pick := func(from []string) string { return from[i%len(from)] }
	id, _ := session.ParseRecordingID(pick(s.recordings))
	s.check(s.access.AppendPart(s.t.Context(), "NGH", "main", id, fmt.Sprintf("segment-%06d", i%1_000_000), 1))
	hold := s.access.Freeze
	if i%2 == 1 {
		hold = s.access.Thaw
	}
	_, err := hold(s.t.Context(), ben, pick(s.live))
	s.check(err)
	e := caller("vendor", pick(s.engineers), session.VendorSide, session.Engineer, "NGH")
	_, err = s.access.Enable(s.t.Context(), ben, "NGH", e.Identity, "is back")
	s.check(err)
	now := s.clock()
	_, err = s.access.Propose(s.t.Context(), ben, pick(s.pending), access.Proposal{From: now.Add(time.Hour), Until: now.Add(2 * time.Hour)})
	s.check(err)
}

// What is no place in a list is refused with a sentence, on every list alike.
func TestForeignCursorsAreRefused(t *testing.T) {
	w := newWorld(t)
	newScene(w, 3)
	next := func(who, path string) string {
		a := w.call(who, "GET", path, nil)
		if a.status != 200 || a.header.Get("X-Next") == "" {
			t.Fatalf("%s as %s: %d, next %q", path, who, a.status, a.header.Get("X-Next"))
		}
		return a.header.Get("X-Next")
	}
	for id, op := range operations(w.api) {
		if op.Responses["200"] == nil || op.Responses["200"].Headers["X-Next"] == nil {
			continue
		}
		path := "/api/v1/" + strings.TrimPrefix(id, "list-") + "?limit=1"
		own, other := next("ben", path), "/api/v1/recordings?limit=1"
		if id == "list-recordings" {
			other = "/api/v1/requests?limit=1"
		}
		for what, after := range map[string]string{
			"another list's": next("ben", other), "somebody else's": next("ada", "/api/v1/requests?limit=1"), "a name": "NGH/NGH-PETCT1", "short": own[:17],
			"only its mark": own[:16], "without its mark": own[16:], "a control character": own + "\x00", "a word": "x", "too long": own + strings.Repeat("a", 300),
		} {
			p := w.problem(id+": "+what, w.call("ben", "GET", path+"&after="+url.QueryEscape(after), nil), 400)
			if p.Kind != session.Invalid || what != "too long" && what != "a control character" && p.Message != "That is no place in the list." {
				t.Errorf("%s: %s: %+v", id, what, p)
			}
		}
		w.problem(id+": too many", w.call("ben", "GET", "/api/v1/"+strings.TrimPrefix(id, "list-")+"?limit=501", nil), 400)
		w.problem(id+": fewer than none", w.call("ben", "GET", "/api/v1/"+strings.TrimPrefix(id, "list-")+"?limit=-1", nil), 400)
	}
	for _, path := range []string{"events?after=999999", "events?after=9223372036854775807", "events?after=-1", "events?after=x", "leaves?from=999999&to=1000000"} {
		w.problem(path, w.call("ben", "GET", "/api/v1/audit/"+path, nil), 400)
	}
}

// Who asks for the last events learns how far back the broker looked for them, and who
// reads on where to go on, while others write.
func TestTheLogIsReadWithoutGaps(t *testing.T) {
	w := newWorld(t)
	s := newScene(w, 2)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				s.requests(i)
			}
		}
	}()
	defer func() { close(stop); <-done }()
	v := get[AuditEvents](w, "ben", "GET", "/api/v1/audit/events?last=3", nil)
	if len(v.Events) != 3 || v.From != v.Events[0].Index || v.Next != v.Size {
		t.Errorf("the last three: %+v", v)
	}
	known := map[int64]bool{}
	for from := int64(0); from < v.Size; {
		page := get[AuditEvents](w, "ben", "GET", fmt.Sprintf("/api/v1/audit/events?after=%d", from), nil)
		if page.From != from || page.Next <= from {
			t.Fatalf("after %d: from %d, next %d", from, page.From, page.Next)
		}
		for _, e := range page.Events {
			if known[e.Index] || e.Index < from || e.Index >= page.Next {
				t.Errorf("event %d after %d", e.Index, from)
			}
			known[e.Index] = true
		}
		from = page.Next
	}
	for _, e := range v.Events {
		if !known[e.Index] {
			t.Errorf("event %d is missing", e.Index)
		}
	}
}

// onRealServer puts a world on a redis-server of its own.
func onRealServer(w *world, c *Config) {
	dir, err := os.MkdirTemp("", "redis") // a socket's path has to be short
	w.must(err)
	socket := filepath.Join(dir, "s")
	cmd := exec.Command("redis-server", "--port", "0", "--unixsocket", socket, "--dir", dir, "--save", "")
	if err := cmd.Start(); err != nil {
		w.t.Fatalf("this test is about redis-server: %v", err)
	}
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = os.RemoveAll(dir)
	})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if conn, err := net.Dial("unix", socket); err == nil {
			conn.Close()
			break
		}
		if time.Now().After(deadline) {
			w.t.Fatal("redis-server did not open its socket")
		}
	}
	s, err := store.Open(w.t.Context(), store.Config{URL: "unix://" + socket, Ephemeral: true})
	w.must(err)
	w.t.Cleanup(func() { s.Close() })
	w.access, err = access.New(access.Config{Documents: s, Listing: s, Wholes: s, Agents: w.agent, Audit: w.audit, Now: w.clock})
	w.must(err)
	w.store, c.Access = s, w.access
}
