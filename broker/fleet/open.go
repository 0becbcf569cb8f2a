package fleet

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// waiter is an Open that waits for the agent to dial back.
type waiter struct {
	name    name
	key     [32]byte // of the certificate on whose control connection we asked
	expires time.Time
	got     chan net.Conn // buffered 1
}

// Open opens a stream through an agent. Token and Node are filled in here. The
// connection has CloseWrite; the caller closes it. A warm spare is used when there
// is one; otherwise the agent dials back within 10 s.
func (f *Fleet) Open(ctx context.Context, site, agent string, o link.Open) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, link.TokenTime)
	defer cancel()
	n := name{site, agent}
	leave, err := f.sit(n, o)
	if err != nil {
		return nil, err
	}
	conn, err := f.open(ctx, n, o)
	if err != nil {
		leave()
		return nil, err
	}
	return f.track(conn.Conn, conn.peer, leave)
}

// opened is a stream that nobody has yet.
type opened struct {
	net.Conn
	peer link.Peer
}

func (f *Fleet) open(ctx context.Context, n name, o link.Open) (opened, error) {
	c, err := f.connected(ctx, n)
	if err != nil {
		return opened{}, err
	}
	o.Node = f.cfg.Node
	for sp := f.takeSpare(n, c.Peer); sp != nil; sp = f.takeSpare(n, c.Peer) {
		o.Token = newSecret() // nobody presents it; it only makes the message whole
		conn, err := sp.Use(ctx, o)
		if err == nil {
			return opened{conn, sp.Peer}, nil
		}
		var refusal *session.Error
		if errors.As(err, &refusal) {
			return opened{}, err
		}
		f.cfg.Log.Info("spare was no good", "site", n.site, "agent", n.agent, "err", err)
	}
	return f.dialBack(ctx, c, o)
}

// takeSpare takes the newest spare that was opened with the same key: the one that
// is most surely alive.
func (f *Fleet) takeSpare(n name, p link.Peer) *link.Spare {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.agents[n]
	if a == nil {
		return nil
	}
	for i := len(a.spares) - 1; i >= 0; i-- {
		if s := a.spares[i]; s.Peer.Key == p.Key {
			a.drop(s)
			return s
		}
	}
	return nil
}

// dialBack asks over the control connection and waits for the stream.
func (f *Fleet) dialBack(ctx context.Context, c *link.Control, o link.Open) (opened, error) {
	o.Token = newSecret()
	w := &waiter{
		name: nameOf(c.Peer), key: c.Peer.Key,
		expires: f.cfg.Now().Add(link.TokenTime), got: make(chan net.Conn, 1),
	}
	f.mu.Lock()
	f.waiting[o.Token] = w
	f.mu.Unlock()
	defer f.abandon(o.Token, w)

	v, err := c.Open(ctx, o)
	switch {
	case err != nil:
		return opened{}, noAnswer(w.name.site, err)
	case !v.OK:
		return opened{}, &session.Error{Kind: v.Kind, Message: v.Message, Next: v.Next}
	}
	select {
	case conn := <-w.got:
		return opened{conn, c.Peer}, nil
	case <-ctx.Done():
		return opened{}, noAnswer(w.name.site, ctx.Err())
	}
}

// abandon forgets a token, and closes a stream that came too late to be wanted.
func (f *Fleet) abandon(token string, w *waiter) {
	f.mu.Lock()
	delete(f.waiting, token)
	f.mu.Unlock()
	select {
	case conn := <-w.got: // empty when Open took it
		_ = conn.Close()
	default:
	}
}

// Stream gives a dialled-back connection to the Open that its token names. A token
// works once, in its time, for the key that was asked.
func (r registry) Stream(p link.Peer, token string, conn net.Conn) error {
	f := r.f
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.waiting[token]
	switch {
	case w == nil:
		return session.Errorf(session.Denied, "The stream's token is unknown, used or too old.")
	case w.name != nameOf(p) || w.key != p.Key:
		return session.Errorf(session.Denied, "The stream's token was made for another agent.")
	}
	delete(f.waiting, token)
	if f.cfg.Now().After(w.expires) {
		return session.Errorf(session.Expired, "The stream's token is too old.")
	}
	w.got <- conn
	return nil
}

// halfCloser is what the link's streams are.
type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// stream is an open stream that a revocation can find.
type stream struct {
	halfCloser
	fleet *Fleet
	peer  link.Peer
	leave func() // gives its part of the agent's streams back
}

func (s *stream) Close() error {
	s.fleet.mu.Lock()
	delete(s.fleet.streams, s)
	s.fleet.mu.Unlock()
	s.leave()
	return s.halfCloser.Close()
}

func (f *Fleet) track(conn net.Conn, p link.Peer, leave func()) (net.Conn, error) {
	half, ok := conn.(halfCloser)
	if !ok {
		leave()
		return nil, errors.Join(errors.New("a stream that cannot close one direction"), conn.Close())
	}
	s := &stream{halfCloser: half, fleet: f, peer: p, leave: leave}
	f.mu.Lock()
	f.streams[s] = struct{}{}
	f.mu.Unlock()
	return s, nil
}

// newSecret draws 256 bits; crypto/rand never fails on the systems we support.
func newSecret() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}
