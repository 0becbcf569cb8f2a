package api

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/identity"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// A browser reaches a service in two steps: a call gets a ticket, and a WebSocket
// shows it in its first message. From then on bytes pass that the broker cannot read.

const (
	attachPath     = "/api/v1/attach/ws"
	attachProtocol = "sallyport-attach-1"
	ticketKind     = "ticket" // by the ticket's hash
)

// Codes with which a socket is closed.
const (
	codeNoTicket    = websocket.StatusCode(4401) // the ticket or its login is not good
	codeMayNot      = websocket.StatusCode(4403)
	codeUnreachable = websocket.StatusCode(4404)
	codeLoginEnded  = websocket.StatusCode(4408)
)

// Attach names what a browser wants to reach.
type Attach struct {
	Site    string `json:"site" maxLength:"64"`
	Asset   string `json:"asset" maxLength:"64"`
	Service string `json:"service" maxLength:"64"`
	Watch   string `json:"watch,omitempty" maxLength:"60" doc:"S-...: watch this session there, as somebody of the hospital"`
	Inside  bool   `json:"inside,omitempty" doc:"the stream is a TLS between the caller and the agent"`
}

// Ticket lets one WebSocket in.
type Ticket struct {
	Ticket  string    `json:"ticket"`
	Expires time.Time `json:"expires"`
	URL     string    `json:"url"`
}

type attachment struct{ Body Attach }

// ticket is what is kept of one.
type ticket struct {
	Login   string           `json:"login"`
	Person  session.Identity `json:"person"`
	Of      session.Target   `json:"of"` // by its full name
	Watch   string           `json:"watch,omitempty"`
	Inside  bool             `json:"inside,omitempty"`
	Expires time.Time        `json:"expires"`
}

func (d *door) registerLive(api huma.API) {
	handle(d, api, "follow-events", d.follow)
	handle(d, api, "attach", d.attach)
	handle(d, api, "attach-socket", d.attachSocket)
}

// attach gives a ticket to an engineer, or to somebody who watches, whom nothing but the
// agent's own check keeps from the service; to everybody else it says what is missing.
func (d *door) attach(ctx context.Context, who signedIn, in *attachment) (*of[Ticket], error) {
	l := d.Live
	asked := session.Target{Site: in.Body.Site, Asset: in.Body.Asset, Service: in.Body.Service}
	if asked.Site == "" {
		return nil, session.Errorf(session.Invalid, "A browser attaches to a service by its full name.").WithNext("Name its site.")
	}
	ok, _, err := l.cfg.Passing.Count(ctx, "attach:"+nameOf(who.Identity), time.Minute, attachesAMinute)
	if err == nil && !ok {
		err = errTooFast
	}
	if err != nil {
		return nil, err
	}
	to, err := l.way(ctx, who.Caller, asked, in.Body.Watch)
	if err != nil {
		return nil, err
	}
	if who.Login == "" {
		return nil, session.Errorf(session.Internal, "attach: a login without an id")
	}
	t := ticket{Login: who.Login, Person: who.Identity, Of: to.Target(), Watch: in.Body.Watch, Inside: in.Body.Inside, Expires: d.Now().UTC().Add(ticketTime).Truncate(time.Millisecond)}
	body, err := json.Marshal(t)
	if err != nil {
		return nil, session.Errorf(session.Internal, "write a ticket: %w", err)
	}
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails
	text := base64.RawURLEncoding.EncodeToString(secret[:])
	if err := l.cfg.Passing.Create(ctx, ticketKind, ticketID(text), body, ticketTime); err != nil {
		return nil, err
	}
	return answer(Ticket{Ticket: text, Expires: t.Expires, URL: attachPath}), nil
}

// way is where somebody gets: an engineer by what was granted to them, the hospital's
// people to a session that they want to watch.
func (l *Live) way(ctx context.Context, who identity.Caller, of session.Target, watch string) (access.Route, error) {
	switch {
	case watch == "" && who.Is(session.Engineer):
		return l.cfg.Access.Route(ctx, who.Identity, of)
	case watch == "":
		return access.Route{}, notAllowed()
	}
	to, err := l.cfg.Access.WatchRoute(ctx, who, watch, of.Service)
	if err == nil && to.Target() != of {
		err = session.Errorf(session.Invalid, "The session is not on %.130s.", of.String()).WithNext("Open it from the live board.")
	}
	return to, err
}

func ticketID(text string) string {
	sum := sha256.Sum256([]byte("sallyport/v1/attach-ticket\x00" + text))
	return hex.EncodeToString(sum[:])
}

// attachSocket takes a WebSocket in. What is refused before the upgrade is a
// Problem, what is refused after it a closing code.
func (d *door) attachSocket(ctx context.Context, who signedIn, _ *none) (*huma.StreamResponse, error) {
	l := d.Live
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(out huma.Context) {
		defer leave()
		r, w := humago.Unwrap(out)
		depart, err := l.meet(r)
		if err != nil {
			d.refuse(out, d.problem(ctx, err))
			return
		}
		defer depart()
		k := &keeper{ResponseWriter: w}
		ws, err := websocket.Accept(k, r, &websocket.AcceptOptions{
			Subprotocols: []string{attachProtocol}, CompressionMode: websocket.CompressionDisabled,
			InsecureSkipVerify: true, // meet compares the origin byte by byte, not by host
		})
		if err != nil {
			return // answered
		}
		s := socket{live: l, ws: ws, conn: k.conn, who: who.Caller, peer: r.RemoteAddr, unproven: depart}
		end := s.serve(ctx)
		d.Log.Info("browser detached", "user", who.Sub, "code", int(end.code), "reason", end.reason, "err", end.err)
	}}, nil
}

// meet looks at a handshake before anything is said: it comes from our own pages and
// speaks our protocol. It takes a place among those without a ticket.
func (l *Live) meet(r *http.Request) (depart func(), err error) {
	if origin := r.Header.Values("Origin"); len(origin) != 1 || origin[0] != l.origin {
		return nil, &session.Error{Kind: session.Denied, Message: "Only the broker's own pages open a session here.",
			Next: "Open it at " + l.origin + "."}
	}
	if r.Method != http.MethodGet || !hasToken(r.Header, "Upgrade", "websocket") || !hasToken(r.Header, "Sec-WebSocket-Protocol", attachProtocol) {
		return nil, &session.Error{Kind: session.Invalid, Message: "This is the door for WebSockets of " + attachProtocol + ".", Next: "Open the session's page."}
	}
	depart, ok := l.unproven.enter(session.Identity{Sub: address(r.RemoteAddr)}, nil)
	if !ok {
		return nil, &session.Error{Kind: session.Unreachable, Message: "Too many browsers connect just now.", Next: "Try again in a moment."}
	}
	return depart, nil
}

// hasToken reports whether a header lists a word.
func hasToken(h http.Header, name, want string) bool {
	return slices.ContainsFunc(h.Values(name), func(line string) bool {
		return slices.ContainsFunc(strings.Split(line, ","), func(word string) bool {
			return strings.EqualFold(strings.TrimSpace(word), want)
		})
	})
}

// ending is how a socket is closed. err is for the log.
type ending struct {
	code   websocket.StatusCode
	reason string
	err    error
}

// socket is one browser at the door. One goroutine serves it.
type socket struct {
	live     *Live
	ws       *websocket.Conn
	conn     net.Conn // under ws
	who      identity.Caller
	peer     string
	unproven func() // gives up the place among those without a ticket
}

// serve takes the ticket, opens the stream and relays until either side, the login
// or the broker ends.
func (s *socket) serve(ctx context.Context) ending {
	defer s.ws.CloseNow()
	t, end := s.present(ctx)
	if end == nil {
		s.unproven()
		end = s.relay(ctx, t)
	}
	if ctx.Err() != nil {
		end = &ending{code: websocket.StatusGoingAway, reason: "The broker is stopping; the session goes on. Connect again.", err: context.Cause(ctx)}
	}
	s.bye(end)
	return *end
}

// bye tells the browser why it is closed. One that does not answer, or stopped in
// the middle of a message, is cut off: ws itself would wait for it.
func (s *socket) bye(end *ending) {
	cut := time.AfterFunc(s.live.cfg.Pace.Bye, func() { _ = s.conn.Close() })
	defer cut.Stop()
	_ = s.ws.Close(end.code, wording.Line(end.reason, maxReason))
}

// keeper keeps the connection that is upgraded.
type keeper struct {
	http.ResponseWriter
	conn net.Conn
}

// Hijack implements http.Hijacker.
func (k *keeper) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(k.ResponseWriter).Hijack()
	k.conn = conn
	return conn, rw, err
}

// present reads the first message and takes the ticket that it has to be.
func (s *socket) present(ctx context.Context) (ticket, *ending) {
	no := func(err error) (ticket, *ending) {
		return ticket{}, &ending{codeNoTicket, "The ticket is not good, or no longer. Open the session again.", err}
	}
	s.ws.SetReadLimit(ticketText)
	ctx, cancel := context.WithTimeout(ctx, s.live.cfg.Pace.First)
	defer cancel()
	kind, text, err := s.first(ctx)
	if err != nil {
		return no(err)
	}
	secret, err := base64.RawURLEncoding.Strict().DecodeString(string(text))
	if kind != websocket.MessageText || err != nil || len(secret) != 32 {
		return no(errors.New("the first message is no ticket"))
	}
	doc, err := s.live.cfg.Passing.Take(ctx, ticketKind, ticketID(string(text)))
	if errors.Is(err, os.ErrNotExist) {
		return no(err)
	}
	if err != nil {
		return ticket{}, s.trouble(err)
	}
	var t ticket
	if err := json.Unmarshal(doc.Body, &t); err != nil {
		return no(err)
	}
	switch {
	case !s.live.cfg.Now().Before(t.Expires):
		return no(errors.New("the ticket is too old"))
	case t.Login == "" || t.Login != s.who.Login || t.Person != s.who.Identity:
		return no(errors.New("the ticket belongs to another login"))
	}
	return t, nil
}

// first reads the first message. A context that ends would break the connection
// without a word, so a reader of its own waits for it.
func (s *socket) first(ctx context.Context) (websocket.MessageType, []byte, error) {
	type message struct {
		kind websocket.MessageType
		text []byte
		err  error
	}
	read := make(chan message, 1)
	s.live.running.Go(func() { // ends with the connection, which serve closes
		kind, text, err := s.ws.Read(context.WithoutCancel(ctx))
		read <- message{kind, text, err}
	})
	select {
	case m := <-read:
		return m.kind, m.text, m.err
	case <-ctx.Done():
		return 0, nil, errors.New("the client showed no ticket in time")
	}
}

// route looks once more whether the login is there, and whether its engineer may.
func (s *socket) route(ctx context.Context, t ticket) (access.Route, *ending) {
	ctx, cancel := context.WithTimeout(ctx, routeTime)
	defer cancel()
	who, err := s.live.cfg.Logins.Alive(ctx, s.who)
	if err == nil && who.Identity != t.Person {
		err = notAllowed()
	}
	if err != nil {
		return access.Route{}, s.trouble(err)
	}
	to, err := s.live.way(ctx, who, t.Of, t.Watch)
	if err == nil && to.Target() != t.Of {
		err = session.Errorf(session.Denied, "The ticket is for another service.")
	}
	if err != nil {
		return access.Route{}, s.trouble(err)
	}
	return to, nil
}

// trouble is how a socket ends for an error: in its words where it is for people.
func (s *socket) trouble(err error) *ending {
	var e *session.Error
	switch {
	case errors.Is(err, identity.ErrNotSignedIn):
		return &ending{codeNoTicket, "Your login is over. Sign in and open the session again.", err}
	case !errors.As(err, &e) || e.Kind == session.Internal:
		s.live.cfg.Log.Error("a browser could not be attached", "user", s.who.Sub, "err", err)
		return &ending{websocket.StatusInternalError, "Something went wrong in the broker. The session is not affected; try again.", err}
	case e.Kind == session.Unreachable:
		return &ending{codeUnreachable, e.Message, err}
	}
	return &ending{codeMayNot, e.Message, err}
}
