package link

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// Control is an agent's control connection, as the broker asks things through it.
// Safe for concurrent use.
type Control struct {
	Peer  Peer
	f     *framer
	calls *calls
}

// Deliver, End and Open ask the agent and wait for its verdict, at most 30 s. An
// error means that none came; a refusal is a Verdict.
func (c *Control) Deliver(ctx context.Context, d Deliver) (Verdict, error) {
	return c.verdict(ask(ctx, c.f, c.calls, verbDeliver, d))
}

// End asks the agent to end a session.
func (c *Control) End(ctx context.Context, e End) (Verdict, error) {
	return c.verdict(ask(ctx, c.f, c.calls, verbEnd, e))
}

// Open asks the agent to dial back. OK means that it will try.
func (c *Control) Open(ctx context.Context, o Open) (Verdict, error) {
	return c.verdict(ask(ctx, c.f, c.calls, verbOpen, o))
}

// Close ends the connection at once; the agent will dial again.
func (c *Control) Close() { hangUp(c.f.conn) }

// hangUp closes without the goodbye of TLS, which may have to wait.
func hangUp(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	_ = c.Close()
}

func (c *Control) verdict(f frame, err error) (Verdict, error) {
	if err != nil {
		return Verdict{}, err
	}
	return readVerdict(f)
}

func readVerdict(f frame) (Verdict, error) {
	v, err := decode[Verdict](f.payload)
	if err != nil {
		return Verdict{}, err
	}
	v.Message, v.Next = wording.Line(v.Message, 600), wording.Line(v.Next, 600)
	return v, nil
}

// control serves a control connection until it ends.
func (s *Server) control(ctx context.Context, f *framer, p Peer, refused error) error {
	id, err := s.hello(ctx, f, p, refused)
	if err != nil {
		return err
	}
	c := &Control{Peer: p, f: f, calls: newCalls()}
	defer c.calls.close()
	release := s.cfg.Agents.Control(c)
	defer release()
	if err := write(f, verbAck, id, ackOf(nil, s.cfg.Now())); err != nil {
		return err
	}
	s.cfg.Log.Info("agent connected", "site", p.Site, "agent", p.Agent, "remote", f.conn.RemoteAddr())
	return s.serveControl(ctx, c)
}

// hello reads and checks who the agent says it is. The refusal, if any, is sent.
func (s *Server) hello(ctx context.Context, f *framer, p Peer, refused error) (uint32, error) {
	got, err := f.read(handshakeTime, verbHello)
	if err != nil {
		return 0, err
	}
	h, err := decode[Hello](got.payload)
	if err != nil {
		return 0, err
	}
	if refused == nil {
		refused = h.checkFor(p)
	}
	if refused == nil {
		hctx, cancel := context.WithTimeout(ctx, handshakeTime)
		refused = s.cfg.Handler.Hello(hctx, h)
		cancel()
	}
	if refused != nil {
		return 0, errOr(write(f, verbAck, got.id, ackOf(refused, s.cfg.Now())), refused)
	}
	return got.id, nil
}

func (s *Server) serveControl(ctx context.Context, c *Control) error {
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	slot := make(chan struct{}, MaxWork)
	for {
		f, err := c.f.read(deadAfter, verbPing, verbVerdict, verbReport, verbEnrol)
		if err != nil {
			return err
		}
		switch f.verb {
		case verbPing:
			err = c.f.ping()
		case verbVerdict:
			c.calls.answer(f)
		case verbReport, verbEnrol:
			slot <- struct{}{} // too many at once: the agent waits
			work.Go(func() {
				defer func() { <-slot }()
				if err := s.answer(ctx, c, f); err != nil {
					s.cfg.Log.Warn("agent not served", "site", c.Peer.Site, "agent", c.Peer.Agent, "err", err)
					c.Close()
				}
			})
		}
		if err != nil {
			return err
		}
	}
}

// answer answers a report or a renewal. An error is one of the connection.
func (s *Server) answer(ctx context.Context, c *Control, f frame) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime/2)
	defer cancel()
	if f.verb == verbEnrol {
		return s.renew(ctx, c, f)
	}
	r, err := decode[SessionReport](f.payload)
	if err != nil {
		return err
	}
	if err = r.check(); err == nil {
		err = s.cfg.Handler.Report(ctx, c.Peer.Site, c.Peer.Agent, r)
	}
	if err != nil {
		s.cfg.Log.Warn("report refused", "site", c.Peer.Site, "agent", c.Peer.Agent, "session", r.Session, "err", err)
	}
	return write(c.f, verbAck, f.id, ackOf(err, s.cfg.Now()))
}

func (s *Server) renew(ctx context.Context, c *Control, f frame) error {
	e, err := decode[Enrolment](f.payload)
	if err != nil {
		return err
	}
	if e.Secret != "" || e.Identity != "" || e.Proof != nil {
		return fmt.Errorf("%w: a renewal holds a CSR and nothing else", errFrame)
	}
	err = s.cfg.Revoked(ctx, c.Peer)
	var chain Chain
	if err == nil {
		chain, err = s.cfg.Issuer.Renew(ctx, c.Peer, e.CSR)
	}
	return s.answerChain(c.f, f.id, chain, err)
}

// Spare is a warm connection of an agent.
type Spare struct {
	Peer   Peer
	st     *stream
	f      *framer
	answer chan Verdict // buffered 1; closed when the connection ended without one

	mu   sync.Mutex // guards used, and that no frame follows the open
	used bool
}

// spare serves a warm connection: idle, then as the stream it becomes.
func (s *Server) spare(ctx context.Context, conn *tls.Conn, p Peer) error {
	sp := &Spare{Peer: p, st: newStream(conn), f: &framer{conn: conn}, answer: make(chan Verdict, 1)}
	release, err := s.cfg.Agents.Spare(sp)
	if err != nil {
		return err
	}
	ok, err := sp.idle()
	release()
	if !ok {
		close(sp.answer)
		return err
	}
	sp.st.wait(ctx)
	return nil
}

// idle answers pings until a verdict has been passed on, or the connection fails.
func (sp *Spare) idle() (bool, error) {
	for {
		f, err := sp.f.read(deadAfter, verbPing, verbVerdict)
		if err != nil {
			return false, err
		}
		if f.verb == verbPing {
			if err := sp.pong(); err != nil {
				return false, err
			}
			continue
		}
		v, err := readVerdict(f)
		if err == nil && !sp.isUsed() {
			err = fmt.Errorf("%w: a verdict that nobody asked for", errFrame)
		}
		if err == nil {
			err = sp.f.raw()
		}
		if err != nil {
			return false, err
		}
		sp.answer <- v
		return true, nil
	}
}

func (sp *Spare) pong() error {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.used {
		return nil
	}
	return sp.f.ping()
}

func (sp *Spare) isUsed() bool {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	return sp.used
}

// Use turns the spare into a stream. An error means that it was no good, and why;
// the connection is closed then.
func (sp *Spare) Use(ctx context.Context, o Open) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, spareTime)
	defer cancel()
	v, err := sp.offer(ctx, o)
	if err == nil && !v.OK {
		err = v.refusal()
	}
	if err != nil {
		_ = sp.st.Close()
		return nil, err
	}
	return sp.st, nil
}

func (sp *Spare) offer(ctx context.Context, o Open) (Verdict, error) {
	sp.mu.Lock()
	if sp.used {
		sp.mu.Unlock()
		return Verdict{}, ErrGone
	}
	sp.used = true
	err := write(sp.f, verbOpen, 1, o)
	sp.mu.Unlock()
	if err != nil {
		return Verdict{}, err
	}
	select {
	case v, ok := <-sp.answer:
		if !ok {
			return Verdict{}, ErrGone
		}
		return v, nil
	case <-ctx.Done():
		return Verdict{}, ctx.Err()
	}
}

// Close ends the spare at once.
func (sp *Spare) Close() {
	hangUp(sp.st.Conn)
	_ = sp.st.Close()
}

func (v Verdict) refusal() error {
	return &session.Error{Kind: v.Kind, Message: v.Message, Next: v.Next}
}

// upload serves puts until the agent has had enough.
func (s *Server) upload(ctx context.Context, f *framer, p Peer) error {
	release, ok := s.slots.take(RoleUpload, p, maxUploads)
	if !ok {
		return session.Errorf(session.Refused, "The agent has too many uploads.")
	}
	defer release()
	for {
		got, err := f.read(uploadIdle, verbPut)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		put, err := decode[Put](got.payload)
		if err != nil {
			return err
		}
		if err := put.check(); err != nil {
			return errOr(write(f, verbAck, got.id, ackOf(err, s.cfg.Now())), err)
		}
		if err := s.put(ctx, f, p, put, got.id); err != nil {
			return err
		}
	}
}

// put hands one part to the handler and answers. What the handler left of the body
// is read, so that the next frame is one; an error is one of the connection.
func (s *Server) put(ctx context.Context, f *framer, p Peer, put Put, id uint32) error {
	b := &body{conn: f.conn, left: put.Size, hash: sha256.New(), want: put.SHA256}
	var receipt []byte
	var err error
	if put.Part == HeadPart {
		receipt, err = s.countersign(ctx, p, put, b)
	} else {
		err = s.cfg.Handler.Put(ctx, p.Site, p.Agent, put, b)
	}
	if _, rest := io.Copy(io.Discard, b); rest != nil && err == nil {
		err = rest
	}
	if b.broken != nil {
		return b.broken
	}
	if err != nil {
		s.cfg.Log.Warn("part not stored", "site", p.Site, "agent", p.Agent,
			"recording", put.Recording, "part", put.Part, "err", err)
	}
	ack := ackOf(err, s.cfg.Now())
	ack.Receipt = receipt
	return write(f, verbAck, id, ack)
}

// countersign reads a whole head and asks the handler for its receipt.
func (s *Server) countersign(ctx context.Context, p Peer, put Put, b io.Reader) ([]byte, error) {
	signer, ok := s.cfg.Handler.(Countersigner)
	if !ok || put.Size > maxHead {
		return nil, invalid("a head that it cannot countersign")
	}
	head, err := io.ReadAll(b)
	if err != nil {
		return nil, err
	}
	return signer.Countersign(ctx, p.Site, p.Agent, put.Recording, head)
}

// body is a part's bytes. It ends with io.EOF only when they are what was announced, as
// far as that was.
type body struct {
	conn   net.Conn
	left   int64
	hash   hash.Hash
	want   string
	broken error // of the connection
}

func (b *body) Read(p []byte) (int, error) {
	switch {
	case b.broken != nil:
		return 0, b.broken
	case b.left == 0 && b.want != "" && hex.EncodeToString(b.hash.Sum(nil)) != b.want:
		return 0, session.Errorf(session.Invalid, "The part's bytes do not match its SHA-256.")
	case b.left == 0:
		return 0, io.EOF
	}
	if err := b.conn.SetReadDeadline(time.Now().Add(bodyTime)); err != nil {
		return 0, err
	}
	n, err := b.conn.Read(p[:min(int64(len(p)), b.left)])
	if b.want != "" {
		b.hash.Write(p[:n])
	}
	b.left -= int64(n)
	if err != nil && b.left > 0 {
		b.broken = noEOF(err)
		return n, b.broken
	}
	return n, nil
}
