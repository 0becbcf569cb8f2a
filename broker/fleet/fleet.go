// Package fleet knows the agents that are connected to this broker node: it enrols
// them, issues and revokes their certificates, asks them things and opens streams
// through them. It moves bytes and opaque payloads; it knows no people, no grants
// and no device protocol.
package fleet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// Once keeps things that can be taken once. Implemented by broker/store.
type Once interface {
	// Create stores body under a fresh id for ttl.
	Create(ctx context.Context, kind, id string, body []byte, ttl time.Duration) error
	// Update replaces the body by what edit makes of it, as one step, and keeps its ttl.
	// An error of edit changes nothing and is returned. Absence is os.ErrNotExist.
	Update(ctx context.Context, kind, id string, edit func(old []byte) ([]byte, error)) error
	// Take removes and returns it: of several takers one gets it. Absence, also by
	// time, is os.ErrNotExist.
	Take(ctx context.Context, kind, id string) ([]byte, error)
}

// Denial ends every certificate of an agent that was issued up to At.
type Denial struct {
	Site  string    `json:"site"`
	Agent string    `json:"agent"`
	At    time.Time `json:"at"`
	// Keep is the fingerprint of an identity that goes on: the one that replaced the others.
	Keep string `json:"keep,omitempty"`
}

// DenyList remembers denials, for all nodes. It is asked at every handshake, so
// List should be quick; entries older than a certificate's life (24 h, plus an hour
// for join tokens) may go.
type DenyList interface {
	// Deny is durable when it returns.
	Deny(ctx context.Context, d Denial) error
	List(ctx context.Context) ([]Denial, error)
}

// Auditor writes an event down for good before anything follows from it.
type Auditor interface {
	Append(ctx context.Context, e witness.Event) error
}

// Config is what a fleet needs.
type Config struct {
	Node     string      // this node's name
	IPs      []net.IP    // also in this node's certificate; agents do not look at them
	Nodes    []link.Node // what join tokens tell agents: names and public addresses
	CA       *CA
	Once     Once
	Denied   DenyList
	Handler  link.BrokerHandler
	AuditLog session.Node // this node's audit log, told at enrolment; may be empty
	Limits   link.Limits
	Audit    Auditor // nil: nothing is written down (tests)
	// Moved is told that an agent's control connection came or went; Online says
	// which. It must not block. May be nil.
	Moved func(site, agent string)
	Now   func() time.Time
	Log   *slog.Logger
}

// Fleet is one node's connected agents. Safe for concurrent use.
type Fleet struct {
	cfg    Config
	server *link.Server

	certMu sync.Mutex
	cert   *tls.Certificate // this node's

	mu      sync.Mutex // guards what follows
	agents  map[name]*agent
	waiting map[string]*waiter // by stream token
	streams map[*stream]struct{}
	seats   map[seat]int
}

// name is a site and an agent of it.
type name struct{ site, agent string }

func nameOf(p link.Peer) name { return name{p.Site, p.Agent} }

// agent is what is connected of one agent.
type agent struct {
	control *link.Control // nil: not connected
	spares  []*link.Spare // the oldest first
}

// New checks the configuration.
func New(cfg Config) (*Fleet, error) {
	if cfg.CA == nil || cfg.Once == nil || cfg.Denied == nil || cfg.Handler == nil || cfg.Now == nil || cfg.Log == nil {
		return nil, errors.New("fleet: CA, once, denied, handler, now and log must be set")
	}
	f := &Fleet{cfg: cfg, agents: make(map[name]*agent), waiting: make(map[string]*waiter), streams: make(map[*stream]struct{}), seats: make(map[seat]int)}
	if _, err := f.certificate(); err != nil {
		return nil, err
	}
	var err error
	f.server, err = link.NewServer(link.ServerConfig{
		Certificate: f.certificate, Roots: cfg.CA.Roots, Handler: cfg.Handler, Agents: registry{f},
		Issuer: issuer{f}, Revoked: f.revoked, Limits: cfg.Limits, Now: cfg.Now, Log: cfg.Log,
	})
	return f, err
}

// TLSConfig is for connections with the link's ALPN.
func (f *Fleet) TLSConfig() *tls.Config { return f.server.TLSConfig() }

// Serve serves a connection that uses TLSConfig, until it has ended.
func (f *Fleet) Serve(ctx context.Context, conn *tls.Conn) { f.server.Serve(ctx, conn) }

// ServeConn serves a connection whose first bytes, TLS, have not been read.
func (f *Fleet) ServeConn(ctx context.Context, conn net.Conn) { f.server.ServeConn(ctx, conn) }

// certificate is this node's, made anew at half life.
func (f *Fleet) certificate() (*tls.Certificate, error) {
	f.certMu.Lock()
	defer f.certMu.Unlock()
	if f.cert != nil && f.cfg.Now().Before(f.cert.Leaf.NotAfter.Add(-nodeTime/2)) {
		return f.cert, nil
	}
	cert, err := f.cfg.CA.Node(f.cfg.Node, f.cfg.IPs)
	if err != nil {
		return nil, err
	}
	f.cert = cert
	return cert, nil
}

// Online reports whether an agent has a control connection to this node.
func (f *Fleet) Online(site, agent string) bool { return f.control(name{site, agent}) != nil }

// Agent names an agent.
type Agent struct{ Site, Agent string }

// Connected lists the agents that have a control connection to this node.
func (f *Fleet) Connected() []Agent {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []Agent
	for n, a := range f.agents {
		if a.control != nil {
			all = append(all, Agent{n.site, n.agent})
		}
	}
	return all
}

func (f *Fleet) control(n name) *link.Control {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a := f.agents[n]; a != nil {
		return a.control
	}
	return nil
}

// connected is the control connection of an agent that may be asked things.
func (f *Fleet) connected(ctx context.Context, n name) (*link.Control, error) {
	c := f.control(n)
	if c == nil {
		return nil, notConnected(n.site, nil)
	}
	if err := f.revoked(ctx, c.Peer); err != nil {
		return nil, err
	}
	return c, nil
}

func notConnected(site string, err error) error {
	return &session.Error{
		Kind:    session.Unreachable,
		Message: fmt.Sprintf("The agent of site %s is not connected.", site),
		Next:    "Try again in a moment; if it stays so, the hospital's IT can run: sallyport-agent status.",
		Err:     err,
	}
}

// Deliver hands an agent something to check and remember. A refusal is a Verdict;
// an error means that there was none: *session.Error, Unreachable or Denied.
func (f *Fleet) Deliver(ctx context.Context, site, agent string, d link.Deliver) (link.Verdict, error) {
	c, err := f.connected(ctx, name{site, agent})
	if err != nil {
		return link.Verdict{}, err
	}
	v, err := c.Deliver(ctx, d)
	return v, noAnswer(site, err)
}

// End tells an agent to end a session. Answers are as with Deliver.
func (f *Fleet) End(ctx context.Context, site, agent string, e link.End) (link.Verdict, error) {
	c := f.control(name{site, agent}) // ending asks for no rights
	if c == nil {
		return link.Verdict{}, notConnected(site, nil)
	}
	v, err := c.End(ctx, e)
	return v, noAnswer(site, err)
}

func noAnswer(site string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, link.ErrGone):
		return notConnected(site, err)
	}
	return &session.Error{
		Kind:    session.Unreachable,
		Message: fmt.Sprintf("The agent of site %s did not answer.", site),
		Next:    "Look whether it took effect before you try again.",
		Err:     err,
	}
}

// registry is the side of a Fleet that the link's server talks to.
type registry struct{ f *Fleet }

var _ link.Agents = registry{}

// Control makes c the agent's control connection. An older one is closed: the
// newest is the one that works.
func (r registry) Control(c *link.Control) (release func()) {
	f, n := r.f, nameOf(c.Peer)
	f.mu.Lock()
	a := f.entry(n)
	old := a.control
	a.control = c
	f.mu.Unlock()
	f.moved(n)
	if old != nil {
		f.cfg.Log.Warn("agent connected twice; the older connection is closed", "site", n.site, "agent", n.agent)
		old.Close()
	}
	return func() {
		f.mu.Lock()
		last := a.control == c
		if last {
			a.control = nil
			f.tidy(n)
		}
		f.mu.Unlock()
		if last {
			f.moved(n)
		}
	}
}

func (f *Fleet) moved(n name) {
	if f.cfg.Moved != nil {
		f.cfg.Moved(n.site, n.agent)
	}
}

// Spare adds a warm connection.
func (r registry) Spare(s *link.Spare) (release func(), err error) {
	f, n := r.f, nameOf(s.Peer)
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.entry(n)
	if len(a.spares) >= link.MaxSpares {
		return nil, session.Errorf(session.Refused, "The agent keeps too many spare connections.")
	}
	a.spares = append(a.spares, s)
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		a.drop(s)
		f.tidy(n)
	}, nil
}

// entry and tidy keep the map at those agents that have a connection. f.mu is held.
func (f *Fleet) entry(n name) *agent {
	a := f.agents[n]
	if a == nil {
		a = &agent{}
		f.agents[n] = a
	}
	return a
}

func (f *Fleet) tidy(n name) {
	if a := f.agents[n]; a != nil && a.control == nil && len(a.spares) == 0 {
		delete(f.agents, n)
	}
}

func (a *agent) drop(s *link.Spare) {
	for i, other := range a.spares {
		if other == s {
			a.spares = append(a.spares[:i:i], a.spares[i+1:]...)
			return
		}
	}
}
