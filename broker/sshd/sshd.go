package sshd

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/lobby"
)

// The user names of the door. Everything else is refused.
const (
	User      = "sallyport"       // signs in with the key of a request
	UserNoKey = "sallyport-nokey" // what the CLI writes where there is no key yet: only ever told why
)

// Route is where a host name leads for one engineer, now.
type Route struct {
	Site    string // of the agent
	Agent   string // its name
	Asset   string
	Service string
	Session string // S-..., for the log
}

// Access knows keys and grants. Errors for people are *session.Error.
type Access interface {
	// KeyOwner finds whose live request a public key belongs to. The key line is
	// in authorized_keys form without a comment. It must have no side effects.
	KeyOwner(ctx context.Context, keyLine string) (engineer session.Identity, request string, err error)
	// Route finds the granted service behind a host name such as
	// "recon-ssh.ngh-petct1.ngh", or says why there is none. It is asked for every stream.
	// Where the site is missing, the name counts while it is one service's only.
	Route(ctx context.Context, engineer session.Identity, of session.Target) (Route, error)
	// Barred reports whether an engineer's access to a site is disabled. It is asked
	// again and again while streams to the site are open.
	Barred(ctx context.Context, engineer session.Identity, site string) (bool, error)
}

// Streams reaches agents. Token and Node of o are the implementation's to fill in.
// The connection should have CloseWrite; without it an end of file closes it.
type Streams interface {
	Open(ctx context.Context, site, agent string, o link.Open) (net.Conn, error)
}

// Config is everything a Server needs. HostKeyFile, Access and Streams are required.
type Config struct {
	HostKeyFile string // ed25519, made on first use, mode 0600
	Access      Access
	Streams     Streams
	Known       *lobby.Pace         // networks that are known, also at other doors; default: at this one
	Full        func(net.Conn) bool // whether descriptors run low, and networks have to be known; default: they never do
	Recheck     time.Duration       // between two questions whether open streams may go on; default 2 s
	Log         *slog.Logger        // default: discard
	Now         func() time.Time    // default: time.Now
}

// Server is the jump host. Safe for concurrent use.
type Server struct {
	access    Access
	streams   Streams
	log       *slog.Logger
	now       func() time.Time
	signers   []gossh.Signer
	recheck   time.Duration
	full      func(net.Conn) bool
	strangers *lobby.Lobby // who has not proven a key
	failures  *lobby.Quiet // lines about them

	mu     sync.Mutex
	visits map[*visit]struct{} // every connection being served
}

// New reads or makes the host key and returns a Server that is ready to Serve.
func New(c Config) (*Server, error) {
	if c.Access == nil || c.Streams == nil {
		return nil, errors.New("sshd: Config needs Access and Streams")
	}
	signers, err := hostKeys(c.HostKeyFile)
	if err != nil {
		return nil, err
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Recheck <= 0 {
		c.Recheck = recheckTime
	}
	if c.Known == nil {
		c.Known = lobby.NewKnown()
	}
	if c.Full == nil {
		c.Full = func(net.Conn) bool { return false }
	}
	strangers := lobby.New(maxStrangers, maxStrangersNetwork)
	strangers.Slow(shakeEvery, shakeBurst, c.Known)
	return &Server{
		full: c.Full, access: c.Access, streams: c.Streams, log: c.Log, now: c.Now, signers: signers, recheck: c.Recheck,
		strangers: strangers, failures: lobby.NewQuiet(), visits: map[*visit]struct{}{},
	}, nil
}

// HostKeyLine is the door's public key, "ssh-ed25519 AAAA...", for known_hosts.
func (s *Server) HostKeyLine() string { return keyLine(s.signers[0].PublicKey()) }

// HostKeyLineEC is what it shows to clients without Ed25519, "ecdsa-sha2-nistp256 AAAA...".
func (s *Server) HostKeyLineEC() string { return keyLine(s.signers[1].PublicKey()) }

// Serve takes connections from ln until ctx ends; then it closes ln and every
// connection and waits for them. It returns nil then, and an error only when ln
// is closed by somebody else.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	closed := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(closed)
		_ = ln.Close() // Accept reports it
	})
	var visits sync.WaitGroup
	visits.Go(func() { s.watch(ctx) })
	err := s.accept(ctx, ln, &visits)
	cancel()
	<-closed
	visits.Wait()
	return err
}

func (s *Server) accept(ctx context.Context, ln net.Listener, visits *sync.WaitGroup) error {
	var wait time.Duration
	for {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			wait = 0
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		default: // out of descriptors, most likely: it passes, the door stays
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			s.log.Error("accept", "err", err, "retry_in", wait)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(wait):
			}
			continue
		}
		place, ok := s.admit(nc)
		if !ok {
			_ = nc.Close()
			continue
		}
		visits.Go(func() { s.receive(ctx, nc, place) })
	}
}

// admit gives a connection a place, unless it has to go.
func (s *Server) admit(nc net.Conn) (place *lobby.Place, ok bool) {
	peer := nc.RemoteAddr()
	if s.full(nc) && !s.strangers.Knows(peer) {
		s.log.Warn("connection turned away: file descriptors run low", "peer", peer.String())
		return nil, false
	}
	place, ok = s.strangers.Enter(peer, func() { _ = nc.Close() })
	if ok && place.Begins() {
		return place, true
	}
	if ok {
		place.Leave()
	}
	s.log.Debug("connection turned away: too many of its network that have not signed in, or too often", "peer", peer.String())
	return nil, false
}

// receive serves one connection from its first byte to its last.
func (s *Server) receive(ctx context.Context, nc net.Conn, place *lobby.Place) {
	v := newVisit(s, nc, place)
	s.mu.Lock()
	s.visits[v] = struct{}{}
	s.mu.Unlock()
	defer func() {
		v.end()
		s.mu.Lock()
		delete(s.visits, v)
		s.mu.Unlock()
	}()
	stop := context.AfterFunc(ctx, v.hangUp)
	defer stop()
	defer v.survive()
	whole := link.Whole(v.nc)
	defer whole.Close()
	v.door().HandleConn(whole)
}

// ofEngineer counts the connections of an engineer.
func (s *Server) ofEngineer(engineer session.Identity) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for v := range s.visits {
		if who, ok := v.who(); ok && who.engineer == engineer {
			n++
		}
	}
	return n
}

// survive keeps one connection's panic from ending the broker.
func (v *visit) survive() {
	if r := recover(); r != nil {
		v.log.Error("panic in a connection", "err", r, "stack", string(debug.Stack()))
		v.hangUp()
	}
}
