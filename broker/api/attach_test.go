package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sallyport/sallyport/session"
)

// knock is one try to open a WebSocket.
type knock struct {
	token   string
	origins []string
	proto   string
}

func (w *world) knock(k knock) (*websocket.Conn, *http.Response, error) {
	w.t.Helper()
	w.now.Add(int64(100 * time.Millisecond))
	h := http.Header{"Authorization": {"Bearer " + k.token}}
	if k.origins != nil {
		h["Origin"] = k.origins
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), soon)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ws, resp, err := websocket.Dial(ctx, w.url+attachPath, &websocket.DialOptions{HTTPHeader: h, Subprotocols: []string{k.proto}, HTTPClient: client})
	if ws != nil {
		ws.SetReadLimit(1 << 22)
		w.t.Cleanup(func() { _ = ws.CloseNow() })
	}
	return ws, resp, err
}

// connect opens a WebSocket as a browser of somebody does.
func (w *world) connect(token string) *websocket.Conn {
	w.t.Helper()
	ws, _, err := w.knock(knock{token, []string{origin}, attachProtocol})
	w.must(err)
	return ws
}

func (w *world) ticket(token string) Ticket {
	w.t.Helper()
	return get[Ticket](w, token, "POST", "/api/v1/attach", Attach{Site: "NGH", Asset: "NGH-PETCT1", Service: "recon-ssh"})
}

func (w *world) say(ws *websocket.Conn, kind websocket.MessageType, text string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), soon)
	defer cancel()
	w.must(ws.Write(ctx, kind, []byte(text)))
}

// closed is how the broker closes a socket.
func (w *world) closed(what string, ws *websocket.Conn, code websocket.StatusCode) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), soon)
	defer cancel()
	for {
		_, _, err := ws.Read(ctx)
		if err == nil {
			continue
		}
		var closing websocket.CloseError
		if !errors.As(err, &closing) || closing.Code != code || len(closing.Reason) > maxReason {
			w.t.Errorf("%s: closed with %v, want %d", what, err, code)
		}
		return closing.Reason
	}
}

// attached is ada's browser and the agent's end of its stream.
func (w *world) attached() (*websocket.Conn, opened) {
	w.t.Helper()
	ws := w.connect("ada")
	w.say(ws, websocket.MessageText, w.ticket("ada").Ticket)
	o := get1(w.t, w.agents.opened)
	w.t.Cleanup(func() { o.conn.Close() })
	return ws, o
}

// Of many origins one gets in. The port and the host of the URL are not looked at.
func TestOrigins(t *testing.T) {
	w := newWorld(t)
	w.things()
	allowed := 0
	for name, origins := range map[string][]string{
		"the broker's own": {origin}, "missing": nil, "empty": {""}, "null": {"null"}, "two": {origin, origin}, "two of which one": {"https://evil.example", origin},
		"a list": {origin + ", " + origin}, "a list with spaces": {origin + " " + origin}, "a prefix": {"https://broker.example.org.evil.example"},
		"a suffix": {"https://evil-broker.example.org"}, "a subdomain": {"https://x.broker.example.org"}, "the parent": {"https://example.org"},
		"another port": {origin + ":8443"}, "the default port": {origin + ":443"}, "plain": {"http://broker.example.org"}, "no scheme": {"broker.example.org"},
		"relative": {"//broker.example.org"}, "capitals": {"https://BROKER.example.org"}, "a capital scheme": {"HTTPS://broker.example.org"}, "a slash": {origin + "/"},
		"a path": {origin + "/x"}, "userinfo": {"https://broker.example.org@evil.example"}, "our userinfo": {"https://evil@broker.example.org"},
		"a trailing dot": {"https://broker.example.org."}, "a space": {origin + " x"}, "a fragment": {origin + "#"}, "a query": {origin + "?"}, "a wildcard": {"*"},
		"where it listens": {w.url}, "an extension": {"chrome-extension://abcdef"}, "a file": {"file://"}, "the other script": {"https://brоker.example.org"},
		"percent": {"https://broker%2eexample.org"}, "a tab": {"https://broker.example.org\tx"},
	} {
		ws, resp, err := w.knock(knock{"ada", origins, attachProtocol})
		switch {
		case err == nil && name == "the broker's own":
			allowed++
			_ = ws.CloseNow()
		case err == nil || resp == nil:
			t.Errorf("%s: %v, %v", name, resp, err)
		case resp.StatusCode != 403 && resp.StatusCode != 400:
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
	}
	if allowed != 1 {
		t.Errorf("%d origins got in", allowed)
	}
}

func TestOriginOf(t *testing.T) {
	for from, want := range map[string]string{
		"https://Broker.Example.org": "https://broker.example.org", "https://a:443": "https://a", "http://127.0.0.1:8080": "http://127.0.0.1:8080",
		"http://localhost:80": "http://localhost", "https://[::1]:8443": "https://[::1]:8443", "https://a:80": "https://a:80",
		"": "", "broker": "", "ftp://a": "", "https://": "",
	} {
		if got, err := originOf(from); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", from, got, err)
		}
	}
}

// Only an engineer who may connect now gets a ticket; everybody else reads why.
func TestTicketsAreForWhoMay(t *testing.T) {
	w := newWorld(t)
	in := Attach{Site: "NGH", Asset: "NGH-PETCT1", Service: "recon-ssh"}
	for _, who := range []string{"adam", "abroad"} {
		if p := w.problem(who, w.call(who, "POST", "/api/v1/attach", in), 403); !strings.Contains(p.Message, "not asked") {
			t.Errorf("%s reads %s", who, p.Message)
		}
	}
	r := get[Request](w, "ada", "POST", "/api/v1/requests", w.submission("ada"))
	if p := w.problem("too soon", w.call("ada", "POST", "/api/v1/attach", in), 409); !strings.Contains(p.Message, "not answered") {
		t.Errorf("ada reads %s", p.Message)
	}
	docs := get[Documents](w, "ben", "GET", "/api/v1/requests/"+r.ID+"/documents", nil)
	get[Decided](w, "ben", "POST", "/api/v1/requests/"+r.ID+"/approvals", w.decision(docs.Request, "ben"))
	ticket := w.ticket("ada")
	if len(ticket.Ticket) != 43 || ticket.URL != attachPath || ticket.Expires.Sub(w.clock()) > ticketTime {
		t.Errorf("%+v", ticket)
	}
	for _, of := range [][3]string{{}, {"", "NGH-PETCT1", "recon-ssh"}, {"XYZ", "NGH-PETCT1", "recon-ssh"}, {"NGH", "NGH-PETCT1", "console-ssh"}, {"NGH", "NGH-PETCT1", "recon-ssh.x"},
		{"NGH", "recon-ssh", "NGH-PETCT1"}, {"NGH", "../x", "y"}, {"NGH/NGH-PETCT1", "recon-ssh", ""}, {"NGH", "NGH-PETCT1", "recon-ssh\x00"}, {"NGH", strings.Repeat("A", 65), "x"}} {
		wrong := Attach{Site: of[0], Asset: of[1], Service: of[2]}
		if a := w.call("ada", "POST", "/api/v1/attach", wrong); a.status/100 != 4 {
			t.Errorf("%+v: %d %s", wrong, a.status, a.body)
		}
	}
	w.agent.SetOnline(false)
	w.problem("the agent is away", w.call("ada", "POST", "/api/v1/attach", in), 503)
	w.agent.SetOnline(true)
	for range attachesAMinute {
		w.call("ada", "POST", "/api/v1/attach", in)
	}
	w.problem("too often", w.call("ada", "POST", "/api/v1/attach", in), 429)
}

// What is no good ticket of this login opens nothing.
func TestTicketsAreTakenOnce(t *testing.T) {
	w := newWorld(t, quick(Pace{First: 30 * time.Millisecond}))
	w.things()
	used := w.ticket("ada").Ticket
	first := w.connect("ada")
	w.say(first, websocket.MessageText, used)
	o := get1(t, w.agents.opened)
	defer o.conn.Close()
	old := w.ticket("ada").Ticket
	w.now.Add(int64(ticketTime))
	anothers := w.ticket("ada").Ticket
	good := w.ticket("ada").Ticket
	for _, c := range []struct {
		what, who string
		kind      websocket.MessageType
		text      string
		code      websocket.StatusCode
	}{
		{"used before", "ada", websocket.MessageText, used, codeNoTicket},
		{"too old", "ada", websocket.MessageText, old, codeNoTicket},
		{"another person's", "adam", websocket.MessageText, anothers, codeNoTicket},
		{"then nobody's", "ada", websocket.MessageText, anothers, codeNoTicket},
		{"binary", "ada", websocket.MessageBinary, good, codeNoTicket},
		{"empty", "ada", websocket.MessageText, "", codeNoTicket},
		{"nonsense", "ada", websocket.MessageText, "hello", codeNoTicket},
		{"invented", "ada", websocket.MessageText, strings.Repeat("A", 43), codeNoTicket},
		{"padded", "ada", websocket.MessageText, good[:42] + "=", codeNoTicket},
		{"oversize", "ada", websocket.MessageText, strings.Repeat("A", 4096), websocket.StatusMessageTooBig},
		{"huge", "ada", websocket.MessageText, strings.Repeat("A", 2<<20), websocket.StatusMessageTooBig},
	} {
		ws := w.connect(c.who)
		ctx, cancel := context.WithTimeout(t.Context(), soon)
		err := ws.Write(ctx, c.kind, []byte(c.text))
		cancel()
		if err == nil || c.what != "huge" { // which may be cut off while it is written
			w.closed(c.what, ws, c.code)
		}
	}
	w.closed("silent", w.connect("ada"), codeNoTicket)
	select {
	case o := <-w.agents.opened:
		t.Errorf("a stream was opened: %+v", o.Open)
	default:
	}
	last := w.connect("ada")
	w.say(last, websocket.MessageText, good)
	got := get1(t, w.agents.opened)
	defer got.conn.Close()
	if got.site != "NGH" || got.agent != "main" || got.Asset != "NGH-PETCT1" || got.Service != "recon-ssh" || got.Door != "attach" || !strings.HasPrefix(got.Peer, "127.0.0.1:") {
		t.Errorf("opened %+v", got)
	}
}

// A ticket of another login of the same person is not good either, and neither is
// one whose login or permission ended in between.
func TestTicketsDieWithWhatTheyStandOn(t *testing.T) {
	w := newWorld(t)
	x := w.things()
	w.doors.people["ada2"] = w.doors.people["ada"]
	for _, c := range []struct {
		what  string
		spoil func() func()
		who   string
		code  websocket.StatusCode
		words string
	}{
		{"another login", nil, "ada2", codeNoTicket, "ticket"},
		{"the agent is gone", func() func() { w.agent.SetOnline(false); return func() { w.agent.SetOnline(true) } }, "ada", codeUnreachable, "agent"},
		{"the stream does not open", func() func() {
			w.agents.fail = &session.Error{Kind: session.Unreachable, Message: "The agent did not answer."}
			return func() { w.agents.fail = nil }
		}, "ada", codeUnreachable, "did not answer"},
		{"the agent refuses", func() func() {
			w.agents.fail = session.Errorf(session.Refused, "%s", strings.Repeat("ä", 200))
			return func() { w.agents.fail = nil }
		}, "ada", codeMayNot, "ä…"},
		{"a fault of ours", func() func() {
			w.agents.fail = errors.New("secret")
			return func() { w.agents.fail = nil }
		}, "ada", websocket.StatusInternalError, "went wrong"},
		{"taken back", func() func() {
			get[Request](w, "ben", "POST", "/api/v1/requests/"+x.request+"/revoke", Revocation{Reason: "in use"})
			return func() {}
		}, "ada", codeMayNot, "hospital"},
	} {
		ticket, repair := w.ticket("ada").Ticket, func() {}
		ws := w.connect(c.who)
		if c.spoil != nil {
			repair = c.spoil()
		}
		w.say(ws, websocket.MessageText, ticket)
		if reason := w.closed(c.what, ws, c.code); !strings.Contains(reason, c.words) || strings.Contains(reason, "secret") {
			t.Errorf("%s: %q", c.what, reason)
		}
		repair()
	}
	ws := w.connect("ada")
	w.say(ws, websocket.MessageText, func() string { w.things(); return w.ticket("ada").Ticket }())
	get1(t, w.agents.opened).conn.Close()
	out := w.connect("ada")
	last := w.ticket("ada").Ticket
	w.doors.end("ada's login")
	w.say(out, websocket.MessageText, last)
	w.closed("signed out", out, codeNoTicket)
}

// What goes in comes out, byte for byte, both ways at once, in whatever pieces.
func TestBytesPassUnchanged(t *testing.T) {
	w := newWorld(t)
	w.things()
	ws, o := w.attached()
	const size = 3 << 20
	up, down := random(1, size), random(2, size)
	wrong := make(chan error, 3)
	go func() {
		_, err := o.conn.Write(down)
		wrong <- err
	}()
	go func() {
		got := make([]byte, size)
		_, err := io.ReadFull(o.conn, got)
		if err == nil && !bytes.Equal(got, up) {
			err = errors.New("the agent read something else")
		}
		wrong <- err
	}()
	go func() {
		pieces, rest := rand.New(rand.NewPCG(3, 3)), up
		for len(rest) > 0 {
			n := min(1+pieces.IntN(1<<pieces.IntN(21)), len(rest), maxMessage)
			if err := ws.Write(t.Context(), websocket.MessageBinary, rest[:n]); err != nil {
				wrong <- err
				return
			}
			rest = rest[n:]
		}
		wrong <- nil
	}()
	var got []byte
	for len(got) < size {
		kind, part, err := ws.Read(t.Context())
		w.must(err)
		if kind != websocket.MessageBinary || len(part) > relayBuffer {
			t.Fatalf("a message of kind %v, %d bytes", kind, len(part))
		}
		got = append(got, part...)
	}
	if !bytes.Equal(got, down) {
		t.Error("the browser read something else")
	}
	for range 3 {
		w.must(get1(t, wrong))
	}
	w.must(o.conn.Close())
	w.closed("the agent ends", ws, websocket.StatusNormalClosure)
}

func random(seed uint64, size int) []byte {
	b := make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(seed)})
	_, _ = r.Read(b)
	return b
}

// Whoever does not read holds the other side up, and nothing piles up in between.
func TestBackpressure(t *testing.T) {
	// A pong may take as long as a busy machine takes, or the test needs luck.
	w := newWorld(t, quick(Pace{Ping: 50 * time.Millisecond, GiveUp: 200 * time.Millisecond, Recheck: 50 * time.Millisecond, Bye: time.Millisecond}))
	w.things()
	ws, o := w.attached()
	piece := random(1, 256<<10)
	sent := make(chan error, 1)
	go func() {
		for range 1 << 8 { // far more than any buffer on the way holds
			if err := ws.Write(t.Context(), websocket.MessageBinary, piece); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	w.doors.await(&w.doors.looks, "ada's login", 40) // ten times as long as a pong is waited for
	select {
	case err := <-sent:
		t.Fatalf("64 MiB went somewhere, or it was given up: %v", err)
	default:
	}
	got := make([]byte, 2*len(piece)) // the agent wakes up: nothing was lost, and nobody gave up
	_, err := io.ReadFull(o.conn, got)
	w.must(err)
	if !bytes.Equal(got[:len(piece)], piece) || !bytes.Equal(got[len(piece):], piece) {
		t.Error("other bytes came out")
	}
	o.conn.Close()
	if get1(t, sent) == nil {
		t.Error("what nobody read was sent")
	}
}

// A browser that stops in the middle of a message holds nothing up for good, and
// neither does one that never says goodbye.
func TestABrowserThatStopsIsCut(t *testing.T) {
	w := newWorld(t, quick(Pace{Bye: 10 * time.Millisecond}))
	w.things()
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	w.must(err)
	defer conn.Close()
	text := w.ticket("ada").Ticket
	_, err = io.WriteString(conn, "GET "+attachPath+" HTTP/1.1\r\nHost: broker.example.org\r\nAuthorization: Bearer ada\r\nOrigin: "+origin+"\r\nConnection: Upgrade\r\n"+
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: "+attachProtocol+"\r\n\r\n")
	w.must(err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	w.must(err)
	if resp.StatusCode != 101 || resp.Header.Get("Sec-WebSocket-Extensions") != "" {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	_, err = io.WriteString(conn, "\x81\xab\x00\x00\x00\x00"+text+"\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00"+strings.Repeat("x", 40<<10)) // of 64 KiB
	w.must(err)
	o := get1(t, w.agents.opened)
	_, err = io.ReadFull(o.conn, make([]byte, 4))
	w.must(err)
	o.conn.Close() // while a piece waits to pass and the rest never comes
	w.live.running.Wait()
}

// A browser that takes nothing, or answers no ping, loses its socket, and the
// agent's side is closed.
func TestADeadBrowserIsGivenUp(t *testing.T) {
	w := newWorld(t, quick(Pace{Ping: 5 * time.Millisecond, GiveUp: 50 * time.Millisecond}))
	w.things()
	_, o := w.attached() // nobody reads it: no pong
	_, err := io.Copy(io.Discard, o.conn)
	w.must(err)
	w = newWorld(t, quick(Pace{Ping: time.Hour, GiveUp: 50 * time.Millisecond}))
	w.things()
	_, o = w.attached()
	for err = nil; err == nil; {
		_, err = o.conn.Write(make([]byte, 1<<20))
	}
}

func TestABrowserThatLeavesClosesTheStream(t *testing.T) {
	w := newWorld(t)
	w.things()
	for what, leave := range map[string]func(*websocket.Conn){
		"politely": func(ws *websocket.Conn) { _ = ws.Close(websocket.StatusNormalClosure, "") },
		"rudely":   func(ws *websocket.Conn) { _ = ws.CloseNow() },
		"with a text": func(ws *websocket.Conn) {
			w.say(ws, websocket.MessageText, "x")
			w.closed("a text", ws, websocket.StatusUnsupportedData)
		},
		"with too much": func(ws *websocket.Conn) {
			_ = ws.Write(t.Context(), websocket.MessageBinary, make([]byte, maxMessage+2))
			w.closed("too much", ws, websocket.StatusMessageTooBig)
		},
	} {
		ws, o := w.attached()
		done := make(chan error, 1)
		go func() {
			_, err := io.Copy(io.Discard, o.conn)
			done <- err
		}()
		leave(ws)
		if err := get1(t, done); err != nil {
			t.Errorf("%s: the agent reads %v", what, err)
		}
	}
}

// A socket ends with its login and with its engineer's permission at the hospital.
func TestASocketEndsWithItsLogin(t *testing.T) {
	pace := Pace{Recheck: 5 * time.Millisecond, Used: time.Nanosecond}
	for what, end := range map[string]func(w *world){
		"signed out": func(w *world) { w.doors.end("ada's login") },
		"disabled": func(w *world) {
			get[Engineer](w, "ben", "POST", "/api/v1/engineers/disable", Standing{Site: "NGH", Iss: people()["ada"].Iss, Sub: "ada", Reason: "left"})
		},
	} {
		w := newWorld(t, quick(pace))
		w.things()
		ws, o := w.attached()
		done := make(chan error, 1)
		go func() { _, err := io.Copy(io.Discard, o.conn); done <- err }()
		w.say(ws, websocket.MessageBinary, "x")
		for w.doors.count(&w.doors.uses, "ada's login") == 0 { // what passes counts as use
			w.doors.await(&w.doors.looks, "ada's login", 1)
		}
		w.doors.down.Store(true) // what cannot be looked up goes on
		w.doors.await(&w.doors.looks, "ada's login", 3)
		w.doors.down.Store(false)
		if n := w.doors.count(&w.doors.uses, "ada's login"); n != 1 {
			t.Errorf("%s: one message counted %d times", what, n)
		}
		end(w)
		w.closed(what, ws, codeLoginEnded)
		w.must(get1(t, done))
	}
}

func TestTheBrokerStops(t *testing.T) {
	w := newWorld(t)
	w.things()
	ws, o := w.attached()
	waiting := w.connect("ada")
	stopped := make(chan struct{})
	go func() { w.live.Close(); close(stopped) }()
	w.closed("attached", ws, websocket.StatusGoingAway)
	w.closed("waiting", waiting, websocket.StatusGoingAway)
	get1(t, stopped)
	if _, err := o.conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the agent reads %v", err)
	}
	if _, resp, err := w.knock(knock{"ada", []string{origin}, attachProtocol}); err == nil || resp == nil || resp.StatusCode != 503 {
		t.Errorf("after the end: %v %v", resp, err)
	}
}

func TestSocketsAreCounted(t *testing.T) {
	w := newWorld(t)
	w.things()
	w.live.sockets.each, w.live.unproven.each = 2, 3
	_, a := w.attached()
	w.attached()
	third := w.connect("ada")
	w.say(third, websocket.MessageText, w.ticket("ada").Ticket)
	w.closed("one too many", third, codeMayNot)
	go func() { _, _ = io.Copy(io.Discard, a.conn) }()
	for range 3 { // strangers at the door
		for _, _, err := w.knock(knock{"ada", []string{origin}, attachProtocol}); err != nil; {
			t.Fatal(err)
		}
	}
	if _, resp, err := w.knock(knock{"ada", []string{origin}, attachProtocol}); err == nil || resp == nil || resp.StatusCode != 503 {
		t.Errorf("a crowd at the door: %v %v", resp, err)
	}
	for what, k := range map[string]knock{"no protocol": {"ada", []string{origin}, ""}, "another protocol": {"ada", []string{origin}, "chat"},
		"not signed in": {"nobody", []string{origin}, attachProtocol}, "somebody without a role": {"nothing", []string{origin}, attachProtocol}} {
		_, resp, err := w.knock(k)
		if err == nil || resp == nil || resp.StatusCode/100 != 4 {
			t.Errorf("%s: %v %v", what, resp, err)
		}
		body, _ := io.ReadAll(resp.Body)
		if p := (Problem{}); json.Unmarshal(body, &p) != nil || p.Message == "" {
			t.Errorf("%s: %q is no problem", what, body)
		}
	}
}
