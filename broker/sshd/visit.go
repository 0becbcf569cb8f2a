package sshd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/lobby"
	"github.com/sallyport/sallyport/session/wording"
)

// owner is who proved a key, and for which request it was made.
type owner struct {
	engineer session.Identity
	request  string
}

// ownerMark finds the owner in the permissions of a connection.
type ownerMark struct{}

// visit is one connection: connected → proven (a signature was verified) → over.
type visit struct {
	server   *Server
	nc       net.Conn
	peer     string
	log      *slog.Logger
	began    time.Time
	place    *lobby.Place // until a key is proven
	clock    *time.Timer  // hangs up: first at session.ProvingTime, then when idle
	greeting *time.Timer  // hangs up on who says next to nothing

	running sync.WaitGroup // channel handlers; Add only under mu and before over

	mu       sync.Mutex
	owner    *owner              // set once, after proof
	streams  int                 // channels open or being opened
	open     map[net.Conn]string // streams to agents, with their site
	refusals int
	told     bool // has read why a key was not let in
	over     bool
}

func newVisit(s *Server, nc net.Conn, place *lobby.Place) *visit {
	peer, heard := nc.RemoteAddr().String(), &heard{Conn: nc}
	v := &visit{server: s, nc: heard, peer: peer, log: s.log.With("peer", peer), began: s.now(), place: place}
	v.clock = time.AfterFunc(session.ProvingTime, v.hangUp)
	v.greeting = time.AfterFunc(greetTime, func() {
		if heard.bytes.Load() < greetBytes {
			v.hangUp()
		}
	})
	return v
}

// heard is a connection that counts what came.
type heard struct {
	net.Conn
	bytes atomic.Int64
}

func (h *heard) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	h.bytes.Add(int64(n))
	return n, err
}

// hangUp ends the connection from outside; whoever serves it notices.
func (v *visit) hangUp() { _ = v.nc.Close() }

// end waits for the channels of a connection that is no longer served.
func (v *visit) end() {
	v.mu.Lock()
	v.over = true
	who := v.owner
	v.mu.Unlock()
	v.hangUp()
	v.clock.Stop()
	v.greeting.Stop()
	v.running.Wait()
	v.place.Leave()
	if who != nil {
		v.log.Info("connection closed", "user", who.engineer.Sub, "lasted", v.server.now().Sub(v.began))
	}
}

func (v *visit) who() (owner, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.owner == nil {
		return owner{}, false
	}
	return *v.owner, true
}

// door is gliderlabs' server for this one connection. Every handler that it
// would otherwise fill in by itself is set here.
func (v *visit) door() *ssh.Server {
	door := &ssh.Server{
		Version: "Sallyport",
		// Without one of its authentication handlers gliderlabs lets everybody in.
		PublicKeyHandler:         mayTry,
		BannerHandler:            v.greet,
		ServerConfigCallback:     v.config,
		ConnectionFailedCallback: v.failed,
		ChannelHandlers: map[string]ssh.ChannelHandler{
			"direct-tcpip": v.direct,
			"default":      v.refuseChannel,
		},
		RequestHandlers: map[string]ssh.RequestHandler{
			"keepalive@openssh.com":        alive,
			"no-more-sessions@openssh.com": alive,
			"default":                      v.refuseRequest,
		},
		SubsystemHandlers: map[string]ssh.SubsystemHandler{},
	}
	for _, key := range v.server.signers {
		door.AddHostKey(key)
	}
	return door
}

// config pins the algorithms of the engineer's leg and puts the decision about a
// key behind its signature.
func (v *visit) config(ctx ssh.Context) *gossh.ServerConfig {
	return &gossh.ServerConfig{
		Config: gossh.Config{
			KeyExchanges: []string{gossh.KeyExchangeMLKEM768X25519, gossh.KeyExchangeCurve25519, "curve25519-sha256@libssh.org", gossh.KeyExchangeECDHP256},
			Ciphers:      []string{gossh.CipherAES256GCM, gossh.CipherAES128GCM, gossh.CipherChaCha20Poly1305, gossh.CipherAES256CTR, gossh.CipherAES128CTR},
			MACs:         []string{gossh.HMACSHA256ETM, gossh.HMACSHA512ETM, gossh.HMACSHA256}, // the last for libssh2 before 1.11
		},
		PublicKeyAuthAlgorithms: []string{gossh.KeyAlgoED25519, gossh.KeyAlgoECDSA256},
		MaxAuthTries:            maxTries,
		VerifiedPublicKeyCallback: func(meta gossh.ConnMetadata, key gossh.PublicKey, _ *gossh.Permissions, _ string) (*gossh.Permissions, error) {
			return v.proven(ctx, meta.User(), key)
		},
	}
}

// mayTry runs for keys that are only offered, so it looks at nothing but the
// kind of key: a request names an ed25519 or P-256 key, never a certificate.
func mayTry(_ ssh.Context, key ssh.PublicKey) bool {
	return key.Type() == gossh.KeyAlgoED25519 || key.Type() == gossh.KeyAlgoECDSA256
}

// greet speaks first to those who cannot get in. The user name is the client's
// first claim: good enough to choose words, never to decide. It is said after the exchange
// of keys, which costs a stranger enough to keep the place for a while.
func (v *visit) greet(ctx ssh.Context) string {
	v.place.Busy()
	switch ctx.User() {
	case User:
		return ""
	case UserNoKey:
		return wordsNoKey
	default:
		return wordsWrongUser(ctx.User())
	}
}

// proven decides about a key whose signature was just verified. The permissions
// that it returns are new: nothing from an earlier offer survives in them.
func (v *visit) proven(ctx context.Context, user string, key gossh.PublicKey) (*gossh.Permissions, error) {
	if user != User {
		return nil, fmt.Errorf("user %q", user)
	}
	if _, isCert := key.(*gossh.Certificate); isCert || !mayTry(nil, key) {
		return nil, fmt.Errorf("a key of type %s", key.Type())
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	engineer, request, err := v.server.access.KeyOwner(ctx, keyLine(key))
	if err == nil && (engineer.Iss == "" || engineer.Sub == "") {
		err = session.Errorf(session.Denied, "a key without an owner")
	}
	if err != nil {
		return nil, v.tell(err, wordsForKey(err))
	}
	if v.server.ofEngineer(engineer) >= maxPerEngineer {
		return nil, v.tell(errors.New("too many connections of one engineer"), wordsTooMany)
	}
	who := owner{engineer: engineer, request: request}
	v.mu.Lock()
	v.owner = &who
	if !v.over {
		v.clock.Reset(idleTime)
	}
	v.mu.Unlock()
	v.place.Proven()
	v.log.Info("signed in", "user", engineer.Sub, "request", request, "key", gossh.FingerprintSHA256(key))
	return &gossh.Permissions{ExtraData: map[any]any{ownerMark{}: who}}, nil
}

// tell makes an authentication error that is also shown, once per connection:
// ssh may go on to offer its other keys.
func (v *visit) tell(err error, words string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.told {
		return err
	}
	v.told = true
	return &gossh.BannerError{Err: err, Message: words}
}

func (v *visit) failed(_ net.Conn, err error) {
	if held, ok := v.server.failures.Says(v.server.now()); ok {
		v.log.Info("not signed in", "err", err, "others", held)
	}
}

// ownerOf reads who a connection belongs to from the one trustworthy place.
func ownerOf(conn *gossh.ServerConn) (owner, bool) {
	if conn == nil || conn.Permissions == nil {
		return owner{}, false
	}
	who, ok := conn.Permissions.ExtraData[ownerMark{}].(owner)
	return who, ok
}

// alive answers OpenSSH's keepalive the way its own server does: with a failure,
// which proves life as well as a success, and is no refusal.
func alive(ssh.Context, *ssh.Server, *gossh.Request) (bool, []byte) { return false, nil }

func (v *visit) refuseRequest(_ ssh.Context, _ *ssh.Server, req *gossh.Request) (bool, []byte) {
	if v.refused("request", req.Type, errors.New(wordsOther)) {
		v.hangUp()
	}
	return false, nil
}

func (v *visit) refuseChannel(_ *ssh.Server, _ *gossh.ServerConn, ch gossh.NewChannel, _ ssh.Context) {
	defer v.survive()
	words := wordsOther
	if ch.ChannelType() == "session" {
		words = wordsSession
	}
	v.reject(ch, gossh.Prohibited, words, errors.New(words))
}

// reject refuses a channel in words that its engineer can read, log first.
func (v *visit) reject(ch gossh.NewChannel, code gossh.RejectionReason, words string, why error) {
	enough := v.refused("channel", ch.ChannelType(), why)
	_ = ch.Reject(code, words) // the connection may be gone already
	if enough {
		v.hangUp()
	}
}

// refused logs a refusal and counts it; enough means that the connection has to go.
func (v *visit) refused(what, name string, why error) (enough bool) {
	v.mu.Lock()
	v.refusals++
	n := v.refusals
	v.mu.Unlock()
	if n <= maxRefusals {
		v.log.Warn("refused", "what", what, "name", wording.Line(name, 64), "err", why, "count", n)
	}
	return n >= maxRefusals
}
