package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// origin is where people reach the broker of these tests, whatever it listens on.
const origin = "https://broker.example.org"

// soon is longer than anything here takes.
const soon = 30 * time.Second

// opened is a stream that was opened, seen by the agent.
type opened struct {
	site, agent string
	link.Open
	conn net.Conn
}

// agents opens streams that the test plays the agent of.
type agents struct {
	opened chan opened
	fail   error
}

func (a *agents) Open(_ context.Context, site, agent string, o link.Open) (net.Conn, error) {
	if a.fail != nil {
		return nil, a.fail
	}
	ours, theirs := net.Pipe()
	a.opened <- opened{site, agent, o, theirs}
	return ours, nil
}

// get1 receives one value.
func get1[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(soon):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// frame reads one event, or one comment, off a stream.
func frame(t testing.TB, r *bufio.Reader) string {
	t.Helper()
	all := ""
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("the stream ended after %q: %v", all, err)
		}
		if line == "\n" {
			return all
		}
		all += line
	}
}

// ears is one subscriber.
type ears struct {
	t    *testing.T
	resp *http.Response
	r    *bufio.Reader
	last string // event id
	cut  context.CancelFunc
}

// listen opens an event stream and reads its hello.
func (w *world) listen(token, last string) *ears {
	w.t.Helper()
	w.now.Add(int64(time.Second))
	ctx, cut := context.WithCancel(w.t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", w.url+"/api/v1/events", nil)
	w.must(err)
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept", "text/event-stream") // as browsers do
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	w.must(err)
	e := &ears{t: w.t, resp: resp, r: bufio.NewReader(resp.Body), last: last, cut: cut}
	w.t.Cleanup(e.close)
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" || resp.Header.Get("Cache-Control") != "no-store" {
		w.t.Fatalf("listening as %s: %d %v", token, resp.StatusCode, resp.Header)
	}
	if name, data := e.next(); name != "hello" || data != "{}" {
		w.t.Fatalf("first comes %s %s", name, data)
	}
	return e
}

func (e *ears) close() {
	e.cut()
	e.resp.Body.Close()
}

// next is the next event, past signs of life. It keeps the last id as browsers do.
func (e *ears) next() (name, data string) {
	e.t.Helper()
	for {
		for line := range strings.Lines(frame(e.t, e.r)) {
			line = strings.TrimSuffix(line, "\n")
			switch field, value, _ := strings.Cut(line, ": "); field {
			case "id":
				e.last = value
			case "event":
				name = value
			case "data":
				data = value
			}
		}
		if data != "" {
			return name, data
		}
	}
}

// change is the next event, which is a change.
func (e *ears) change() (x Event) {
	e.t.Helper()
	name, data := e.next()
	if name != "change" {
		e.t.Fatalf("heard %s %s", name, data)
	}
	if err := json.Unmarshal([]byte(data), &x); err != nil {
		e.t.Fatal(err)
	}
	return x
}

// until reads events up to one.
func (e *ears) until(kind, id string) (heard []Event) {
	e.t.Helper()
	for {
		x := e.change()
		heard = append(heard, x)
		if x.Kind == kind && x.ID == id {
			return heard
		}
	}
}

// gone waits for the broker to end the stream.
func (e *ears) gone() {
	e.t.Helper()
	timer := time.AfterFunc(soon, e.cut)
	if _, err := io.Copy(io.Discard, e.r); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		e.t.Errorf("the stream did not end by itself: %v", err)
	}
	timer.Stop()
}

// quick makes the doors for live things act at once.
func quick(p Pace) func(*world, *Config) {
	return func(_ *world, c *Config) { c.Live.cfg.Pace = p }
}

// A decision reaches whoever may know of it, and nobody else: what they hear first
// is what comes after.
func TestEventsReachWhoMayKnow(t *testing.T) {
	w := newWorld(t, quick(Pace{Calm: time.Millisecond}))
	all := map[string]*ears{}
	for who := range people() {
		if who != "nothing" {
			all[who] = w.listen(who, "")
		}
	}
	began := time.Now()
	x := w.things()
	for _, who := range []string{"ada", "ben", "audrey"} {
		missing := map[Event]bool{{"request", x.pending}: true, {"request", x.request}: true, {"session", x.session}: true, {"recording", x.recording}: true}
		for len(missing) > 0 { // kinds have no order between them
			delete(missing, all[who].change())
		}
	}
	t.Logf("a request, a decision, a session and a recording reached three browsers within %v", time.Since(began))
	w.must(w.access.NoteAgent(t.Context(), "NGH", "main", "n1", true))
	for who, knows := range map[string]bool{"ada": true, "adam": true, "ben": true, "audrey": true, "fay": false, "al": false, "abroad": false} {
		if !knows {
			continue
		}
		heard := all[who].until("asset", "NGH/NGH-PETCT1")
		if who == "adam" && heard[0].Kind != "asset" { // nothing of ada's came before
			t.Errorf("%s heard %v", who, heard)
		}
	}
	h := w.agent.Hello("XYZ-CT1") // for those elsewhere it is the first thing
	h.Site, h.Agent = "XYZ", "far"
	w.must(w.access.Announce(t.Context(), h))
	for _, who := range []string{"fay", "al", "abroad"} {
		for _, x := range all[who].until("asset", "XYZ/XYZ-CT1") {
			if !strings.HasPrefix(x.ID, "XYZ") {
				t.Errorf("%s heard of %v", who, x)
			}
		}
	}
}

// A browser that comes back hears of everything that it missed, and of nothing when
// it missed nothing.
func TestEventsResume(t *testing.T) {
	w := newWorld(t, quick(Pace{Calm: time.Millisecond}))
	e := w.listen("ben", "")
	a := get[Request](w, "ada", "POST", "/api/v1/requests", w.submission("ada"))
	e.until("request", a.ID)
	e.close()
	b := get[Request](w, "ada", "POST", "/api/v1/requests", w.submission("ada"))
	c := get[Request](w, "adam", "POST", "/api/v1/requests", w.submission("adam"))
	back := w.listen("ben", e.last)
	if heard := back.until("request", c.ID); len(heard) != 2 || heard[0].ID != b.ID {
		t.Errorf("after coming back: %v, want %s and %s", heard, b.ID, c.ID)
	}
	own := w.listen("ada", e.last) // another's place tells nothing foreign
	d := get[Request](w, "ada", "POST", "/api/v1/requests", w.submission("ada"))
	if heard := own.until("request", d.ID); len(heard) != 2 || heard[0].ID != b.ID {
		t.Errorf("ada heard %v", heard)
	}
	for name, place := range map[string]string{"nonsense": "x", "another's": "MC0wIDAtMA", "a future": strings.Repeat("A", 100)} {
		lost := w.listen("ben", place)
		if what, data := lost.next(); what != "reset" || data != "{}" {
			t.Errorf("%s: %s %s", name, what, data)
		}
		lost.close()
	}
}

func TestEventsResetAfterATrim(t *testing.T) {
	w := newWorld(t, quick(Pace{Calm: time.Millisecond}))
	e := w.listen("ben", "")
	a := get[Request](w, "ada", "POST", "/api/v1/requests", w.submission("ada"))
	e.until("request", a.ID)
	e.close()
	for range 1100 { // of others
		w.must(w.store.Create(t.Context(), "request", session.NewID().Text(), nil, 0))
	}
	back := w.listen("ben", e.last)
	if name, _ := back.next(); name != "reset" {
		t.Errorf("heard %s", name)
	}
	b := get[Request](w, "ada", "POST", "/api/v1/requests", w.submission("ada"))
	for heard := false; !heard; { // who is slow may hear of more than one gap
		place := back.last
		_, data := back.next()
		if heard = strings.Contains(data, b.ID); heard && back.last == place {
			back.next() // a gap in the same batch, which has the place
		}
	}
	back.close()
	again := w.listen("ben", back.last)
	c := get[Request](w, "ada", "POST", "/api/v1/requests", w.submission("ada"))
	if heard := again.until("request", c.ID); len(heard) != 1 {
		t.Errorf("heard %v", heard)
	}
}

// A burst is one event now and one when it is calm again.
func TestBurstsAreOneEvent(t *testing.T) {
	w := newWorld(t, quick(Pace{Calm: 300 * time.Millisecond}))
	e := w.listen("ben", "")
	for i := range 50 {
		w.now.Add(int64(time.Second))
		w.must(w.access.NoteAgent(t.Context(), "NGH", "main", "n1", i%2 == 0))
	}
	r := get[Request](w, "ada", "POST", "/api/v1/requests", w.submission("ada"))
	if heard := e.until("request", r.ID); len(heard) > 10 {
		t.Errorf("50 changes became %d events", len(heard))
	}
}

func TestAStreamEndsWithItsLogin(t *testing.T) {
	w := newWorld(t, quick(Pace{Beat: 5 * time.Millisecond}))
	ada, ben := w.listen("ada", ""), w.listen("ben", "")
	for range 3 {
		if f := frame(t, ada.r); !strings.HasPrefix(f, ":") {
			t.Errorf("a sign of life is %q", f)
		}
	}
	w.doors.down.Store(true) // what cannot be looked up does not end it
	for range 5 {
		frame(t, ada.r)
	}
	w.doors.down.Store(false)
	w.doors.end("ada's login")
	ada.gone()
	frame(t, ben.r)
	if n := w.doors.count(&w.doors.uses, "ada's login"); n != 0 {
		t.Errorf("watching counted as %d uses of the login", n)
	}
	w.live.Close()
	ben.gone()
	w.problem("after the end", w.call("ben", "GET", "/api/v1/events", nil), 503)
}

// What passes in silence moves the place on, so that a quiet browser comes back
// without a reset.
func TestSilenceMovesThePlaceOn(t *testing.T) {
	w := newWorld(t, quick(Pace{Beat: 5 * time.Millisecond, Calm: time.Millisecond}))
	e := w.listen("fay", "")
	w.things()
	for before := e.last; e.last == before; {
		for line := range strings.Lines(frame(t, e.r)) {
			if id, ok := strings.CutPrefix(line, "id: "); ok {
				e.last = strings.TrimSpace(id)
			}
		}
	}
}

// What a browser is told instead of events is a Problem, whatever it asks for.
func TestEventsAreRefusedInWords(t *testing.T) {
	w := newWorld(t)
	refused := func(what, token, last string, status int) {
		t.Helper()
		w.now.Add(int64(time.Second))
		req, err := http.NewRequestWithContext(t.Context(), "GET", w.url+"/api/v1/events", nil)
		w.must(err)
		req.Header.Set("Accept", "text/event-stream")
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Last-Event-ID", last)
		w.problem(what, w.do(req), status)
	}
	refused("nobody", "x", "", 401)
	refused("no role", "nothing", "", 403)
	refused("a long place", "ben", strings.Repeat("A", 601), 400)
	w.live.Close()
	refused("stopping", "ben", "", 503)
}

func TestTheOldestStreamGoes(t *testing.T) {
	w := newWorld(t)
	first := w.listen("ada", "")
	second := w.listen("ada", "")
	for range streamsOfPerson - 1 {
		w.listen("ada", "")
	}
	first.gone()
	w.live.mu.Lock()
	n := len(w.live.inside)
	w.live.mu.Unlock()
	if n < streamsOfPerson || n > streamsOfPerson+1 { // the one that goes may not have left yet
		t.Errorf("%d streams", n)
	}
	w.must(w.access.NoteAgent(t.Context(), "NGH", "main", "n1", true))
	second.until("asset", "NGH/NGH-PETCT1")
	w.live.streams.most = streamsOfPerson
	w.problem("one too many", w.call("ben", "GET", "/api/v1/events", nil), 503)
}

// A client that does not read is cut off; nothing waits for it.
func TestASlowReaderIsCut(t *testing.T) {
	pipes := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	w := newWorld(t, func(w *world, c *Config) {
		w.listener = pipes
		c.Live.cfg.Pace = Pace{Write: 50 * time.Millisecond, Calm: time.Millisecond}
	})
	ours, theirs := net.Pipe()
	pipes.conns <- theirs
	_, err := io.WriteString(ours, "GET /api/v1/events HTTP/1.1\r\nHost: broker.example.org\r\nAuthorization: Bearer ben\r\n\r\n")
	w.must(err)
	r := bufio.NewReader(ours)
	for !strings.Contains(frame2(t, r), "hello") {
	}
	w.must(w.access.NoteAgent(t.Context(), "NGH", "main", "n1", true)) // nobody takes it
	w.live.running.Wait()
	ours.Close()
}

// frame2 reads one line.
func frame2(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// pipes is a listener without buffers in between.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }
