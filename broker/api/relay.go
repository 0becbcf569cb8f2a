package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/identity"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// relay opens the stream that a ticket is for and passes bytes both ways until
// something ends.
func (s *socket) relay(ctx context.Context, t ticket) *ending {
	to, end := s.route(ctx, t)
	if end != nil {
		return end
	}
	depart, ok := s.live.sockets.enter(t.Person, nil)
	if !ok {
		return &ending{codeMayNot, "Too many sessions are open in browsers. Close one and try again.", errors.New("too many sockets")}
	}
	defer depart()
	if t.Watch != "" {
		if err := s.live.cfg.Access.NoteWatching(ctx, s.who, to); err != nil {
			return s.trouble(err)
		}
	}
	opening, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	stream, err := s.live.cfg.Streams.Open(opening, to.Site, to.Agent, link.Open{Asset: to.Asset, Service: to.Service, Peer: s.peer, By: s.who.Identity, Door: t.door()})
	if err != nil {
		return s.trouble(err)
	}
	p := passage{live: s.live, ws: s.ws, bye: s.bye, stream: stream, to: to, who: s.who, seeing: t.Watch}
	if t.Watch != "" {
		began := time.Now()
		defer func() {
			s.live.cfg.Access.NoteWatched(context.WithoutCancel(ctx), s.who, to, time.Since(began))
		}()
	}
	s.live.cfg.Log.Info("browser attached", "user", s.who.Sub, "watches", t.Watch != "", "target", to.Target().String(), "session", to.Session.Session())
	return p.run(ctx)
}

// door is how the agent is to take the stream.
func (t ticket) door() link.Door {
	if t.Inside {
		return link.DoorTLS
	}
	return link.DoorAttach
}

// passage is a socket and a stream that are joined.
type passage struct {
	live   *Live
	ws     *websocket.Conn
	bye    func(*ending)
	stream net.Conn
	to     access.Route
	who    identity.Caller
	seeing string // the session, of somebody who watches

	used  atomic.Bool // the browser said something since the last look
	alive atomic.Bool // it did, or is held up by the agent's side, since the last ping
	held  atomic.Bool // a write to the agent is under way
}

// run relays until the first of its parts ends, tells the browser why, and waits
// for the others. The agent's side is cut at once, however slow the browser is.
func (p *passage) run(ctx context.Context) *ending {
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx)) // ctx must not break the socket before it is told why
	defer cancel()
	ends := make(chan *ending, 4)
	var parts sync.WaitGroup
	for _, part := range []func(context.Context) *ending{p.up, p.down, p.ping, p.watch} {
		parts.Go(func() { ends <- part(inner) })
	}
	var end *ending
	select {
	case end = <-ends:
	case <-ctx.Done():
		end = &ending{code: websocket.StatusGoingAway, reason: "The broker is stopping; the session goes on. Connect again.", err: context.Cause(ctx)}
	}
	_ = p.stream.Close()
	p.bye(end)
	cancel()
	parts.Wait()
	return end
}

// up passes what the browser says to the agent.
func (p *passage) up(ctx context.Context) *ending {
	p.ws.SetReadLimit(maxMessage)
	buffer := make([]byte, relayBuffer)
	for {
		kind, message, err := p.ws.Reader(ctx)
		if err != nil {
			return browserLeft(err)
		}
		if kind != websocket.MessageBinary {
			return &ending{websocket.StatusUnsupportedData, "After the ticket everything is binary.", errors.New("a text message")}
		}
		p.used.Store(true)
		p.alive.Store(true)
		if end := p.passUp(message, buffer); end != nil {
			return end
		}
	}
}

// passUp passes one message on, piece by piece.
func (p *passage) passUp(message io.Reader, buffer []byte) *ending {
	for {
		n, err := message.Read(buffer)
		if n > 0 {
			p.held.Store(true)
			_, failed := p.stream.Write(buffer[:n])
			p.alive.Store(true)
			p.held.Store(false)
			if failed != nil {
				return agentLeft(failed)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return browserLeft(err)
		}
	}
}

// down passes what the agent says to the browser.
func (p *passage) down(ctx context.Context) *ending {
	buffer := make([]byte, relayBuffer)
	for {
		n, err := p.stream.Read(buffer)
		if n > 0 {
			writing, cancel := context.WithTimeout(ctx, p.live.cfg.Pace.GiveUp)
			failed := p.ws.Write(writing, websocket.MessageBinary, buffer[:n])
			cancel()
			if failed != nil {
				return browserLeft(failed)
			}
		}
		if err != nil {
			return agentLeft(err)
		}
	}
}

// ping looks whether the browser is still there. While the agent's side holds up
// what it says nobody reads its pongs, and their absence tells nothing.
func (p *passage) ping(ctx context.Context) *ending {
	every := time.NewTicker(p.live.cfg.Pace.Ping)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return browserLeft(ctx.Err())
		case <-every.C:
		}
		p.alive.Store(p.held.Load())
		waiting, cancel := context.WithTimeout(ctx, p.live.cfg.Pace.GiveUp)
		err := p.ws.Ping(waiting)
		cancel()
		if err != nil && !p.alive.Load() {
			return browserLeft(fmt.Errorf("no answer to a ping: %w", err))
		}
	}
}

// watch ends the passage with its login, or when the hospital disables its
// engineer, and counts what passes as use of the login.
func (p *passage) watch(ctx context.Context) *ending {
	every := time.NewTicker(p.live.cfg.Pace.Recheck)
	defer every.Stop()
	for noted := time.Now(); ; {
		select {
		case <-ctx.Done():
			return browserLeft(ctx.Err())
		case <-every.C:
		}
		asking, cancel := context.WithTimeout(ctx, routeTime)
		end := p.look(asking)
		if end == nil && time.Since(noted) >= p.live.cfg.Pace.Used && p.used.Swap(false) {
			noted = time.Now()
			if err := p.live.cfg.Logins.Use(asking, p.who); err != nil && ctx.Err() == nil {
				p.live.cfg.Log.Warn("cannot note that a login is used", "user", p.who.Sub, "err", err)
			}
		}
		cancel()
		if end != nil {
			return end
		}
	}
}

// look says how a passage that may not go on ends. What cannot be looked up just now
// goes on: the agent keeps its own limits.
func (p *passage) look(ctx context.Context) *ending {
	who, err := p.live.cfg.Logins.Alive(ctx, p.who)
	if errors.Is(err, identity.ErrNotSignedIn) || err == nil && (who.Identity != p.who.Identity || p.seeing == "" && !who.Is(session.Engineer)) {
		return &ending{codeLoginEnded, "Your login ended. Sign in and open the session again.", err}
	}
	barred := false
	switch {
	case err != nil:
	case p.seeing != "": // the session's end is the agent's to tell
		if _, no := p.live.cfg.Access.WatchRoute(ctx, who, p.seeing, p.to.Service); session.KindOf(no) == session.Denied {
			return &ending{codeMayNot, "You may not watch this session any more.", no}
		}
	default:
		barred, err = p.live.cfg.Access.Barred(ctx, p.who.Identity, p.to.Site)
	}
	if barred {
		return &ending{codeLoginEnded, p.to.Site + " disabled your access. Call the hospital.", nil}
	}
	if err != nil && ctx.Err() == nil {
		p.live.cfg.Log.Warn("cannot look up whether a browser may go on", "user", p.who.Sub, "err", err)
	}
	return nil
}

// browserLeft is the end by the browser's side, which mostly hears of it no more.
func browserLeft(err error) *ending {
	return &ending{websocket.StatusPolicyViolation, "The connection was not kept up. Connect again.", err}
}

// agentLeft is the end by the agent's side: its word is in the stream before it.
func agentLeft(err error) *ending {
	if errors.Is(err, io.EOF) {
		return &ending{websocket.StatusNormalClosure, "", err}
	}
	return &ending{codeUnreachable, "The connection to the agent was lost. Connect again.", err}
}
