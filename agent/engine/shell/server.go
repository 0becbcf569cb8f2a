package shell

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/time/rate"

	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/terminal"
)

// sshClient is an engineer's side that is an ssh of their own.
type sshClient struct {
	line     *Line
	engine   *engine.Engine
	visit    engine.Visit
	conn     *engine.Conn
	nc       net.Conn
	log      *slog.Logger
	login    *time.Timer             // cuts a handshake that takes too long
	said     string                  // in the handshake
	early    gossh.ServerPreAuthConn // and while it lasts
	gone     chan struct{}
	channels channels[*terminal.Channel]
	watched  sync.Once    // told on the first channel, where somebody did before
	rejected atomic.Int32 // channels
	pace     *rate.Limiter
}

// Serve serves an engineer's ssh until it is gone. It comes by no other door.
func (l *Line) Serve(ctx context.Context, e *engine.Engine, v engine.Visit, nc net.Conn) {
	if v.Door != link.DoorSSH {
		l.cfg.Log.Warn("stream refused", "door", v.Door, "asset", v.Asset, "service", v.Service)
		return
	}
	s := &sshClient{line: l, engine: e, visit: v, nc: link.Whole(nc), log: l.cfg.Log.With("target", fmt.Sprintf("%.64s/%.64s", v.Asset, v.Service)),
		gone: make(chan struct{}), pace: rate.NewLimiter(20, 40)}
	defer s.nc.Close()
	err := e.Connect(ctx, v, session.SSH, s, func(ctx context.Context, c *engine.Conn) session.EndReason {
		defer close(s.gone)
		s.conn = c
		return s.serve(ctx)
	})
	if err != nil {
		s.log.Info("ssh not served", "err", err)
	}
}

// serve shakes hands and serves channels until the client is gone.
func (s *sshClient) serve(ctx context.Context) session.EndReason {
	s.login = time.AfterFunc(session.ProvingTime, func() { _ = s.nc.Close() })
	defer s.login.Stop()
	sc, channels, requests, err := gossh.NewServerConn(s.nc, s.config())
	if err != nil {
		return session.Completed
	}
	defer sc.Close()
	t, ok := proven(sc)
	if !ok {
		return session.Failed
	}
	s.conn.Go(func() { s.globalRequests(ctx, requests) })
	for nc := range channels {
		if !s.conn.Go(func() { s.channel(ctx, t, nc) }) {
			_ = nc.Reject(gossh.Prohibited, "connection is closing")
		}
	}
	return s.channels.whoLeft()
}

// config is the transport of the engineer's side and the decision about keys.
func (s *sshClient) config() *gossh.ServerConfig {
	config := &gossh.ServerConfig{
		Config: gossh.Config{
			KeyExchanges: []string{gossh.KeyExchangeMLKEM768X25519, gossh.KeyExchangeCurve25519, gossh.KeyExchangeECDHP256},
			Ciphers:      []string{gossh.CipherAES128GCM, gossh.CipherAES256GCM, gossh.CipherChaCha20Poly1305, gossh.CipherAES256CTR, gossh.CipherAES128CTR},
			MACs:         []string{gossh.HMACSHA256ETM, gossh.HMACSHA512ETM, gossh.HMACSHA256}, // the last for libssh2 before 1.11
		},
		PublicKeyAuthAlgorithms: []string{gossh.KeyAlgoED25519, gossh.KeyAlgoECDSA256},
		MaxAuthTries:            maxTries,
		// Clients go by this name in what no negotiation settles: OpenSSH's says that
		// nobody reads its output only to an OpenSSH, and the order of a link's two paths
		// in sftp is OpenSSH's for a server that is called so.
		ServerVersion: "SSH-2.0-OpenSSH_9.9 Sallyport",
		PublicKeyCallback: func(_ gossh.ConnMetadata, key gossh.PublicKey) (*gossh.Permissions, error) {
			return nil, acceptable(key) // nobody has proven it yet
		},
		VerifiedPublicKeyCallback: s.verified,
		PreAuthConnCallback:       func(c gossh.ServerPreAuthConn) { s.early = c },
	}
	for _, key := range s.line.signers {
		config.AddHostKey(key)
	}
	return config
}

// acceptable is the same for everybody: the kinds of keys that grants may carry, and
// no certificates, because no authority is trusted here.
func acceptable(key gossh.PublicKey) error {
	_, cert := key.(*gossh.Certificate)
	if cert || key.Type() != gossh.KeyAlgoED25519 && key.Type() != gossh.KeyAlgoECDSA256 {
		return fmt.Errorf("key of type %s is not acceptable", key.Type())
	}
	return nil
}

// ticketKey is where the ticket of the proven key stands in the connection's Permissions.
type ticketKey struct{}

// verified decides about a key whose owner has signed with it. What it returns is
// new and carries nothing of keys that were offered before.
func (s *sshClient) verified(_ gossh.ConnMetadata, key gossh.PublicKey, _ *gossh.Permissions, _ string) (*gossh.Permissions, error) {
	if err := acceptable(key); err != nil {
		return nil, err
	}
	line := strings.TrimSpace(string(gossh.MarshalAuthorizedKey(key)))
	t, err := s.engine.Find(line, s.visit)
	if err == nil {
		err = s.conn.Admit(t)
	}
	if err != nil {
		s.log.Info("key refused", "key", gossh.FingerprintSHA256(key), "err", err)
		return nil, s.banner(err)
	}
	s.login.Stop()
	if next := s.consent(t); next != nil {
		return nil, next
	}
	return admitted(t), nil
}

// admitted is what a connection may whose key was proven.
func admitted(t *engine.Ticket) *gossh.Permissions {
	return &gossh.Permissions{ExtraData: map[any]any{ticketKey{}: t}}
}

// banner makes a refusal that the engineer reads, each text once per connection: a
// client offers several keys, and one of them may still be right.
func (s *sshClient) banner(err error) error {
	text := engine.Words(err)
	if s.said == text {
		return err
	}
	s.said = text
	return &gossh.BannerError{Err: err, Message: "Sallyport: " + text + "\r\n"}
}

// proven is the ticket of the key that signed, from the one place where nothing else
// can write.
func proven(sc *gossh.ServerConn) (*engine.Ticket, bool) {
	if sc.Permissions == nil {
		return nil, false
	}
	t, ok := sc.Permissions.ExtraData[ticketKey{}].(*engine.Ticket)
	return t, ok && t != nil
}

// channel serves one channel of the engineer's client. Forwarding, tunnels and
// everything else that is no session are refused.
func (s *sshClient) channel(ctx context.Context, t *engine.Ticket, nc gossh.NewChannel) {
	if nc.ChannelType() != "session" {
		s.conn.Refuse("channel "+nc.ChannelType(), "")
		s.reject(nc, gossh.Prohibited, "Sallyport refuses this channel: only shell, exec and sftp pass.")
		return
	}
	if !s.channels.take() {
		s.conn.Refuse("channel session", "too many")
		s.reject(nc, gossh.ResourceShortage, fmt.Sprintf("A connection has at most %d channels.", maxChannels))
		return
	}
	defer s.channels.give()
	if err := s.line.open.take(t); err != nil {
		s.conn.Refuse("channel session", "a share is full")
		s.reject(nc, gossh.ResourceShortage, engine.Words(err))
		return
	}
	defer s.line.open.give(t)
	d, err := s.conn.Open(ctx, t, s.line.dial(t, s.visit.Service, s.conn, &s.channels))
	if err != nil {
		s.reject(nc, gossh.ConnectionFailed, engine.Words(err))
		return
	}
	engineer, requests, err := nc.Accept()
	if err != nil {
		return
	}
	ch := terminal.Accept(engineer, relayConfig(ctx.Done(), s.conn, t, d.(*device)))
	if last, ok := s.channels.add(ch); !ok {
		if last.Text != "" {
			ch.Tell(last, farewellTime)
		}
		ch.Hangup()
	}
	defer s.channels.remove(ch)
	s.watched.Do(func() {
		if n, some := s.conn.Watchers(); some {
			ch.Tell(noteOf(n), farewellTime)
		}
	})
	ch.Run(requests)
}

// globalRequests refuses them, not faster than a person's client would ask. Who only says
// to be there, or to want nothing more, was refused nothing.
func (s *sshClient) globalRequests(ctx context.Context, requests <-chan *gossh.Request) {
	for req := range requests {
		if !terminal.Idle(req.Type) && req.Type != "no-more-sessions@openssh.com" {
			s.conn.Refuse("request "+req.Type, "")
		}
		_ = s.pace.Wait(ctx)
		_ = req.Reply(false, nil)
	}
}

// reject refuses a channel and closes a connection that was refused too often.
func (s *sshClient) reject(nc gossh.NewChannel, reason gossh.RejectionReason, text string) {
	_ = nc.Reject(reason, text)
	if s.rejected.Add(1) >= maxRejected {
		s.conn.Stop(session.Failed, "Too many refused channels: the connection is closed.")
	}
}

// Tell says a notice's text on every open channel.
func (s *sshClient) Tell(n attach.Notice) {
	if n.Text == "" {
		return
	}
	for _, r := range s.channels.all() {
		s.conn.Go(func() { r.Tell(noteOf(n), farewellTime) })
	}
}

// noteOf is a notice as it goes on record where it was told.
func noteOf(n attach.Notice) session.Note {
	kind := session.NoteSaid
	switch n.Type {
	case attach.NoticeFrozen:
		kind = session.NoteFrozen
	case attach.NoticeThawed:
		kind = session.NoteThawed
	case attach.NoticeWarning:
		kind = session.NoteWarning
	case attach.NoticeDeadline:
		kind = session.NoteExtended
	case attach.NoticeWatchers:
		kind = session.NoteWatching
	}
	return session.Note{Kind: kind, By: strings.Join(n.People, ", "), Text: n.Text, Cause: strings.Join(n.Causes, ", "), Left: n.LeftSeconds, Deadline: n.Deadline}
}

// Farewell says the last words on every open channel and gives the client a moment to
// take them and go. A client that does not read is cut.
func (s *sshClient) Farewell(reason session.EndReason, words string) {
	last := session.Note{Kind: session.NoteEnded, Reason: reason, Text: words}
	open := s.channels.end(last)
	var said sync.WaitGroup
	for _, r := range open {
		said.Go(func() {
			r.Tell(last, farewellTime)
			r.Hangup()
		})
	}
	timer := time.NewTimer(2 * farewellTime)
	defer timer.Stop()
	if len(open) > 0 {
		select {
		case <-s.gone:
		case <-timer.C:
		}
	}
	_ = s.nc.Close()
	said.Wait()
}

// Close cuts the client off.
func (s *sshClient) Close() error {
	s.channels.end(session.Note{})
	return s.nc.Close()
}
