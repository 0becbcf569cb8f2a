package engine

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"slices"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/wording"
)

// errSilent is a browser that went, or said nothing that could be read: there is
// nobody to refuse.
var errSilent = errors.New("the browser said nothing that could be read")

// attach finds out who a browser is and hands it to its line; see package attach for
// what is said.
func (e *Engine) attach(ctx context.Context, line Line, v Visit, nc net.Conn) {
	if !e.enter(nc) {
		return
	}
	defer e.leave(nc)
	early := context.AfterFunc(ctx, func() { _ = nc.Close() })
	in := attach.NewReader(nc, attach.Browser)
	b, err := e.prove(line.Protocol(), v, nc, in)
	if early(); err == nil && b.Proof.Role == attach.RoleCritical {
		if err = e.declared(v, b); err == nil {
			return
		}
	}
	if err == nil && b.Ticket != nil {
		if err = e.known(nc, b.Ticket); err == nil {
			v.place.Leave()
			err = e.consentFor(nc, in, b.Ticket, v)
		}
	}
	if err == nil {
		err = line.Attach(ctx, e, v, b)
	}
	if err != nil {
		e.cfg.Log.Info("browser refused", "target", v.target(), "err", err)
		refuse(nc, err)
	}
}

// attachInside is attach for a program that wants to know the agent by its identity key and
// to be overheard by nobody on the way.
func (e *Engine) attachInside(ctx context.Context, line Line, v Visit, nc net.Conn) {
	inner := tls.Server(nc, e.cfg.Inner)
	within, cancel := context.WithTimeout(ctx, proofTime)
	defer cancel()
	if err := inner.HandshakeContext(within); err != nil {
		e.cfg.Log.Info("inner TLS not begun", "target", v.target(), "err", err)
		return
	}
	e.attach(ctx, line, v, inner)
}

func (v Visit) target() string { return wording.Line(v.Asset+"/"+v.Service, 130) }

// enter lets a browser in, unless the engine is closing.
func (e *Engine) enter(nc net.Conn) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closing {
		return false
	}
	e.browsers[nc] = part{}
	return true
}

// known leaves the end of a browser to its line, unless whose it is has too many.
func (e *Engine) known(nc net.Conn, t *Ticket) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := part{t.Engineer.Identity, t.Asset}
	if err := p.fits(e.attached); err != nil {
		return err
	}
	e.browsers[nc] = p
	return nil
}

func (e *Engine) leave(nc net.Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.browsers, nc)
}

// prove challenges a browser and finds the ticket of the key that it proves, as ssh's
// keys are found, or its leave to watch.
func (e *Engine) prove(p session.Protocol, v Visit, nc net.Conn, in *attach.Reader) (Browser, error) {
	if err := nc.SetDeadline(time.Now().Add(proofTime)); err != nil {
		return Browser{}, err
	}
	of := session.Target{Site: e.cfg.Site, Asset: v.Asset, Service: v.Service}
	challenge, err := json.Marshal(attach.NewChallenge(e.cfg.Agent, p, of))
	if err != nil {
		return Browser{}, err
	}
	frame, err := attach.Append(nil, attach.Agent, attach.TypeChallenge, challenge)
	if err != nil {
		return Browser{}, err
	}
	if _, err := nc.Write(frame); err != nil {
		return Browser{}, errSilent
	}
	first, err := in.Read()
	if err != nil || first.Type != attach.TypeProof {
		return Browser{}, errSilent
	}
	b := Browser{Conn: nc, In: in}
	if b.Proof, err = attach.ParseProof(first.Payload); err == nil {
		err = b.Proof.Verify(challenge, p, of)
	}
	if err != nil {
		return Browser{}, err
	}
	switch b.Proof.Role {
	case attach.RoleWatch:
		b.Watch, err = e.watching(b.Proof, v)
	case attach.RoleOperate:
		b.Ticket, err = e.operating(b.Proof, v)
	}
	if err == nil {
		err = nc.SetDeadline(time.Time{})
	}
	return b, err
}

// operating finds the ticket of a key that was proven, for the session that is meant.
func (e *Engine) operating(p attach.Proof, v Visit) (*Ticket, error) {
	t, err := e.Find(p.Key, v)
	if err == nil && t.ID.Session() != p.Session {
		err = session.Errorf(session.Denied, "This browser's key belongs to another session.").
			WithNext("Open the terminal from that session's page.")
	}
	return t, err
}

// refuse says why not. The words are those that ssh shows.
func refuse(nc net.Conn, err error) {
	if errors.Is(err, errSilent) {
		return
	}
	r := attach.Refused{Kind: session.KindOf(err), Message: Words(err)}
	var e *session.Error
	if errors.As(err, &e) {
		bare := *e
		bare.Next = ""
		r.Message, r.Next = Words(&bare), wording.Line(e.Next, 200)
	}
	if b, err := attach.AppendJSON(nil, attach.Agent, attach.TypeRefused, r); err == nil {
		_ = nc.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = nc.Write(b)
	}
}

// Welcome says where an engineer is now who came by a ticket.
func (c *Conn) Welcome(t *Ticket) attach.Welcome {
	c.mu.Lock()
	s, tap := c.state.session, c.state.tap
	c.mu.Unlock()
	w := s.welcome(c.visit)
	w.Recording = tap.id
	for _, ch := range slices.Sorted(maps.Keys(t.Channels)) {
		if t.May(ch) {
			w.Channels = append(w.Channels, ch)
		}
	}
	return w
}

// welcome says where somebody is who may do nothing, at the last recording of a service.
func (s *liveSession) welcome(at Visit) attach.Welcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := attach.Welcome{
		Session: s.id.Session(), Request: s.request, Site: s.e.cfg.Site, Asset: at.Asset, Service: at.Service,
		Deadline: s.state.facts.Deadline.UTC(), Opened: s.state.facts.Opened.UTC(), Now: s.e.cfg.Now().UTC(),
		Channels: []session.Channel{}, Frozen: append([]string{}, s.gate.frozen()...),
	}
	for _, r := range s.state.recordings {
		if r.Service == at.Service {
			w.Recording = r.Recording
		}
	}
	return w
}
