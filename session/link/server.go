package link

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/lobby"
)

// ServerConfig is what a broker node needs to answer agents.
type ServerConfig struct {
	Certificate func() (*tls.Certificate, error) // of the node's name; the chain includes the CA
	Roots       func() *x509.CertPool            // the CA alone
	Handler     BrokerHandler
	Agents      Agents
	Issuer      Issuer
	// Revoked is asked at every handshake, which is to say for every stream, and
	// again when a spare is used; an error refuses.
	Revoked func(ctx context.Context, p Peer) error
	Limits  Limits
	Now     func() time.Time
	Log     *slog.Logger
}

// Agents takes the connections that agents open. Implemented by broker/fleet.
type Agents interface {
	// Control takes note of a live control connection until release is called.
	Control(c *Control) (release func())
	// Spare takes note of a warm connection until release is called; an error closes it.
	Spare(s *Spare) (release func(), err error)
	// Stream takes conn over when the token is right; otherwise conn stays the server's.
	Stream(p Peer, token string, conn net.Conn) error
}

// Issuer makes agents' certificates. Implemented by broker/fleet.
type Issuer interface {
	Enrol(ctx context.Context, e Enrolment) (Chain, error)
	// Enrolled hears that the agent has kept what Enrol gave for e.
	Enrolled(ctx context.Context, e Enrolment) error
	Renew(ctx context.Context, p Peer, csr []byte) (Chain, error)
}

// Limits protect a node from connections; zero fields get the defaults.
type Limits struct {
	EnrolRate int // enrolments a minute and network; 5
}

// Server answers agents at a broker node. Safe for concurrent use.
type Server struct {
	cfg    ServerConfig
	enrols perNetwork
	slots  slots
	// strangers and oddities are lines about connections that proved nothing.
	strangers, oddities *lobby.Quiet
}

// NewServer checks the configuration.
func NewServer(cfg ServerConfig) (*Server, error) {
	if cfg.Certificate == nil || cfg.Roots == nil || cfg.Handler == nil || cfg.Agents == nil ||
		cfg.Issuer == nil || cfg.Revoked == nil || cfg.Now == nil || cfg.Log == nil {
		return nil, errors.New("link server: every field but limits must be set")
	}
	if cfg.Limits.EnrolRate == 0 {
		cfg.Limits.EnrolRate = 5
	}
	return &Server{
		cfg:    cfg,
		enrols: perNetwork{perMinute: cfg.Limits.EnrolRate, networks: make(map[netip.Prefix]*rate.Limiter)},
		slots:  slots{taken: make(map[string]int)},

		strangers: lobby.NewQuiet(), oddities: lobby.NewQuiet(),
	}, nil
}

// TLSConfig is for connections whose ALPN is the link's. A listener that also
// speaks HTTPS returns it from GetConfigForClient.
func (s *Server) TLSConfig() *tls.Config {
	cfg := baseTLS()
	cfg.ClientAuth = tls.RequestClientCert // checked below; none is enough to enrol
	cfg.Time = s.cfg.Now
	cfg.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.cfg.Certificate() }
	cfg.VerifyConnection = func(cs tls.ConnectionState) error {
		_, err := verifyAgent(cs, s.cfg.Roots(), s.cfg.Now())
		return err
	}
	return cfg
}

// ServeConn serves one connection known to be the link's, from before its
// handshake until it has ended, and closes it.
func (s *Server) ServeConn(ctx context.Context, conn net.Conn) {
	s.Serve(ctx, tls.Server(conn, s.TLSConfig()))
}

// Serve is ServeConn for a connection that uses TLSConfig already, shaken hands or
// not. It returns when the connection, or the stream made of it, has been closed;
// ctx ends both. How many there are of connections without a certificate is bounded by
// whoever accepts them.
func (s *Server) Serve(ctx context.Context, conn *tls.Conn) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	peer, role, err := s.greet(conn)
	if err == nil {
		err = s.serveRole(ctx, conn, peer, role)
	}
	s.logEnd(ctx, conn, peer, role, err)
}

// logEnd is loud about what an honest agent never does.
func (s *Server) logEnd(ctx context.Context, conn net.Conn, p *Peer, r Role, err error) {
	if err == nil || ctx.Err() != nil {
		return
	}
	level, quiet := slog.LevelInfo, s.strangers
	var own *session.Error
	if errors.Is(err, errFrame) || errors.As(err, &own) {
		level, quiet = slog.LevelWarn, s.oddities
	}
	site, agent, held := "", "", int64(0)
	if p != nil {
		site, agent = p.Site, p.Agent
	} else {
		var ok bool
		if held, ok = quiet.Says(s.cfg.Now()); !ok {
			return
		}
	}
	s.cfg.Log.Log(ctx, level, "link connection ended", "remote", conn.RemoteAddr(),
		"site", site, "agent", agent, "role", r.Role, "err", err, "others", held)
}

// greet shakes hands and reads the role, all within handshakeTime.
func (s *Server) greet(conn *tls.Conn) (*Peer, Role, error) {
	tune(conn.NetConn())
	if err := conn.SetDeadline(time.Now().Add(handshakeTime)); err != nil {
		return nil, Role{}, err
	}
	if err := conn.Handshake(); err != nil {
		_ = conn.NetConn().Close() // no goodbye to who did not say hello
		return nil, Role{}, fmt.Errorf("shake hands: %w", err)
	}
	// Again, for a connection whose TLS configuration was not ours.
	peer, err := verifyAgent(conn.ConnectionState(), s.cfg.Roots(), s.cfg.Now())
	if err != nil {
		return nil, Role{}, err
	}
	if peer != nil {
		release, ok := s.slots.take("unsaid", *peer, maxUnsaid)
		if !ok {
			return peer, Role{}, session.Errorf(session.Refused, "The agent has too many connections that have not said what they are for.")
		}
		defer release()
	}
	f, err := readFrame(conn, verbRole)
	if err != nil {
		return peer, Role{}, fmt.Errorf("read the role: %w", err)
	}
	r, err := decode[Role](f.payload)
	if err == nil {
		err = r.check()
	}
	return peer, r, err
}

func (s *Server) serveRole(ctx context.Context, conn *tls.Conn, p *Peer, r Role) error {
	f := &framer{conn: conn}
	if r.Role == RoleEnrol {
		return s.enrol(ctx, f)
	}
	if p == nil {
		return session.Errorf(session.Denied, "A connection without a certificate can only enrol.")
	}
	revoked := s.cfg.Revoked(ctx, *p)
	if revoked != nil && r.Role != RoleControl {
		return revoked
	}
	switch r.Role {
	case RoleControl:
		return s.control(ctx, f, *p, revoked)
	case RoleStream:
		return s.stream(ctx, conn, *p, r.Token)
	case RoleSpare:
		return s.spare(ctx, conn, *p)
	case RoleUpload:
		return s.upload(ctx, f, *p)
	case RoleRelay:
		return s.relay(ctx, conn, *p, r.Issuer)
	}
	return fmt.Errorf("%w: role %.20q", errFrame, r.Role)
}

// enrol trades a join token for a certificate.
func (s *Server) enrol(ctx context.Context, f *framer) error {
	got, err := f.read(handshakeTime, verbEnrol)
	if err != nil {
		return err
	}
	if !s.enrols.allow(f.conn.RemoteAddr(), s.cfg.Now()) {
		err := session.Errorf(session.Refused, "Too many enrolments came from this network.").WithNext("Wait a minute and try again.")
		return errOr(write(f, verbAck, got.id, ackOf(err, s.cfg.Now())), err)
	}
	e, err := decode[Enrolment](got.payload)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	chain, err := s.cfg.Issuer.Enrol(ctx, e)
	if answered := s.answerChain(f, got.id, chain, err); err != nil || answered != nil {
		return answered
	}
	kept, err := f.read(handshakeTime, verbAck)
	if err != nil {
		return err
	}
	if err := readAck(kept); err != nil {
		return err
	}
	err = s.cfg.Issuer.Enrolled(ctx, e)
	return errOr(write(f, verbAck, kept.id, ackOf(err, s.cfg.Now())), err)
}

func (s *Server) answerChain(f *framer, id uint32, chain Chain, err error) error {
	if err != nil {
		return errOr(write(f, verbAck, id, ackOf(err, s.cfg.Now())), err)
	}
	return write(f, verbIssued, id, chain)
}

// stream gives a dialled-back connection to whoever asked for it.
func (s *Server) stream(ctx context.Context, conn *tls.Conn, p Peer, token string) error {
	release, ok := s.slots.take(RoleStream, p, MaxStreams)
	if !ok {
		return session.Errorf(session.Refused, "The agent has too many streams.")
	}
	defer release()
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	st := newStream(conn)
	if err := s.cfg.Agents.Stream(p, token, st); err != nil {
		return err
	}
	st.wait(ctx)
	return nil
}

// relay connects an agent to the host of a pinned issuer, for relayTime at most.
func (s *Server) relay(ctx context.Context, conn *tls.Conn, p Peer, issuer string) error {
	release, ok := s.slots.take(RoleRelay, p, maxRelays)
	if !ok {
		return session.Errorf(session.Refused, "The agent has too many relays.")
	}
	defer release()
	ctx, cancel := context.WithTimeout(ctx, relayTime)
	defer cancel()
	f := &framer{conn: conn}
	target, err := s.cfg.Handler.Relay(ctx, p.Site, p.Agent, issuer)
	if err != nil {
		return errOr(write(f, verbAck, 0, ackOf(err, s.cfg.Now())), err)
	}
	if err := errOr(write(f, verbAck, 0, ackOf(nil, s.cfg.Now())), f.raw()); err != nil {
		_ = target.Close()
		return err
	}
	if err := Pipe(ctx, conn, target); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("relay to %s: %w", issuer, err)
	}
	return nil
}

// perNetwork limits what one network may do.
type perNetwork struct {
	perMinute int
	mu        sync.Mutex
	networks  map[netip.Prefix]*rate.Limiter
}

func (p *perNetwork) allow(addr net.Addr, now time.Time) bool {
	from := lobby.Network(addr)
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.networks[from]
	if l == nil {
		p.shrink(now)
		l = rate.NewLimiter(rate.Limit(float64(p.perMinute)/60), p.perMinute)
		p.networks[from] = l
	}
	return l.AllowN(now, 1)
}

// shrink forgets networks that are back at their full allowance, when there are many.
func (p *perNetwork) shrink(now time.Time) {
	if len(p.networks) < maxNetworks {
		return
	}
	for from, l := range p.networks {
		if l.TokensAt(now) >= float64(p.perMinute) {
			delete(p.networks, from)
		}
	}
	if len(p.networks) >= maxNetworks {
		clear(p.networks) // a flood from everywhere: start afresh rather than grow
	}
}

// slots counts what one agent holds.
type slots struct {
	mu    sync.Mutex
	taken map[string]int
}

func (s *slots) take(role RoleName, p Peer, limit int) (release func(), ok bool) {
	key := string(role) + "/" + p.Site + "/" + p.Agent
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[key] >= limit {
		return nil, false
	}
	s.taken[key]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.taken[key]--; s.taken[key] == 0 {
			delete(s.taken, key)
		}
	}, true
}
