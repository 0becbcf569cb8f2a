package link

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// backoff is exponential with full jitter: each wait is drawn evenly between
// nothing and a ceiling that doubles with every failure.
type backoff struct {
	ceiling time.Duration
}

// next is how long to wait after a connection that lasted for lasted.
func (b *backoff) next(lasted time.Duration) time.Duration {
	switch {
	case b.ceiling == 0 || lasted >= stableAfter:
		b.ceiling = backoffFirst
	default:
		b.ceiling = min(2*b.ceiling, backoffMost)
	}
	return rand.N(b.ceiling)
}

// hold keeps a control connection to n for ever.
func (c *Client) hold(ctx context.Context, n *node) {
	var b backoff
	for {
		welcomed, err := c.runControl(ctx, n)
		if ctx.Err() != nil {
			return
		}
		var lasted time.Duration
		if !welcomed.IsZero() {
			lasted = time.Since(welcomed)
		}
		wait := b.next(lasted)
		c.cfg.Log.Warn("link down", "node", n.Name, "lasted", lasted.Round(time.Second), "retry_in", wait, "err", err)
		if !sleep(ctx, wait) {
			return
		}
	}
}

// control is one control connection at the agent.
type control struct {
	*framer
	client *Client
	node   *node
	calls  *calls
	work   chan struct{} // a slot per question in work
	urgent chan struct{} // and per question that ends or stops something: nothing else keeps it waiting
	tasks  sync.WaitGroup
}

// runControl dials n, is welcomed and serves until the connection ends. It returns
// when it was welcomed, zero if never.
func (c *Client) runControl(ctx context.Context, n *node) (welcomed time.Time, err error) {
	conn, err := c.dial(ctx, n, Role{Role: RoleControl})
	if err != nil {
		return time.Time{}, err
	}
	ctl := &control{
		framer: &framer{conn: conn}, client: c, node: n,
		calls: newCalls(), work: make(chan struct{}, MaxWork), urgent: make(chan struct{}, MaxWork),
	}
	runCtx := ctx
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	var refused error // why the broker did not welcome us; written before the tasks end
	ctl.tasks.Go(func() {
		welcomed, refused = ctl.greet(ctx)
		if refused != nil {
			cancel()
			return
		}
		ctl.keepAlive(ctx)
	})
	err = ctl.serve(ctx, runCtx)
	cancel()
	stop()
	_ = conn.Close()
	ctl.calls.close()
	ctl.tasks.Wait()
	c.setControl(n, nil)
	if refused != nil && !errors.Is(refused, ErrGone) {
		err = refused
	}
	return welcomed, err
}

// greet says hello and waits for the welcome.
func (l *control) greet(ctx context.Context) (time.Time, error) {
	f, err := ask(ctx, l.framer, l.calls, verbHello, l.client.cfg.Hello())
	if err == nil {
		err = readAck(f)
	}
	if err != nil {
		return time.Time{}, err
	}
	l.client.setControl(l.node, l)
	l.client.cfg.Log.Info("link up", "node", l.node.Name)
	return time.Now(), nil
}

// keepAlive pings, and renews the certificate when its time has come.
func (l *control) keepAlive(ctx context.Context) {
	renewAt := time.Now()
	for sleep(ctx, pingEvery) {
		if err := l.ping(); err != nil {
			return // the reader says why
		}
		if now := time.Now(); !now.Before(renewAt) {
			renewAt = now.Add(l.client.renewIfDue(ctx, l))
		}
	}
}

// serve reads until the connection ends. Streams get runCtx, for they outlive it.
func (l *control) serve(ctx, runCtx context.Context) error {
	for {
		f, err := l.read(deadAfter, verbPing, verbAck, verbIssued, verbDeliver, verbEnd, verbOpen)
		if err != nil {
			return err
		}
		switch f.verb {
		case verbPing:
		case verbAck, verbIssued:
			l.calls.answer(f)
		case verbDeliver:
			err = inWork(ctx, l, f, func(ctx context.Context, d Deliver) Verdict {
				d.Node = l.node.Name
				return l.client.cfg.Handler.Deliver(ctx, d)
			})
		case verbEnd:
			err = inWork(ctx, l, f, func(ctx context.Context, e End) Verdict { return l.client.cfg.Handler.End(ctx, e) })
		case verbOpen:
			err = l.open(runCtx, f)
		}
		if err != nil {
			return err
		}
	}
}

// question is what a broker asks that takes an agent its time.
type question interface {
	check() error
	urgent() bool
}

// inWork answers a question beside the reader, when there is room for one more.
func inWork[T question](ctx context.Context, l *control, f frame, handle func(context.Context, T) Verdict) error {
	m, err := decode[T](f.payload)
	if err != nil {
		return err
	}
	if err := m.check(); err != nil {
		return write(l.framer, verbVerdict, f.id, verdictOf(err))
	}
	slots := l.work
	if m.urgent() {
		slots = l.urgent
	}
	select {
	case slots <- struct{}{}:
	default:
		return write(l.framer, verbVerdict, f.id, verdictOf(busy()))
	}
	l.tasks.Go(func() {
		defer func() { <-slots }()
		v := handle(ctx, m)
		v.Message, v.Next = wording.Line(v.Message, 600), wording.Line(v.Next, 600)
		if err := write(l.framer, verbVerdict, f.id, v); err != nil {
			l.client.cfg.Log.Warn("verdict not delivered", "node", l.node.Name, "err", err)
		}
	})
	return nil
}

// open checks the broker's wish for a stream, answers, and dials back.
func (l *control) open(ctx context.Context, f frame) error {
	o, err := decode[Open](f.payload)
	if err != nil {
		return err
	}
	n, err := l.client.admit(o)
	if err != nil {
		l.client.cfg.Log.Warn("stream refused", "node", l.node.Name, "err", err)
		return write(l.framer, verbVerdict, f.id, verdictOf(err))
	}
	l.client.tasks.Go(func() {
		defer l.client.release(o)
		l.client.dialBack(ctx, n, o)
	})
	return write(l.framer, verbVerdict, f.id, Verdict{OK: true})
}

// admit takes a slot for a stream that makes sense.
func (c *Client) admit(o Open) (*node, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	n := c.nodeNamed(o.Node)
	if n == nil {
		return nil, session.Errorf(session.Refused, "The agent's configuration knows no broker node %s.", o.Node).
			WithNext("Add the node to the agent's configuration, or check the broker's node name.")
	}
	select {
	case c.slots(o) <- struct{}{}:
		return n, nil
	default:
		return nil, busy()
	}
}

func (c *Client) release(o Open) { <-c.slots(o) }

// slots are those of a stream's kind: the broker's own questions take none of people's.
func (c *Client) slots(o Open) chan struct{} {
	if o.Door == DoorIssuer {
		return c.questions
	}
	return c.streams
}

func (c *Client) dialBack(ctx context.Context, n *node, o Open) {
	conn, err := c.dial(ctx, n, Role{Role: RoleStream, Token: o.Token})
	if err != nil {
		c.cfg.Log.Warn("dial back failed", "node", n.Name, "asset", o.Asset, "err", err)
		return
	}
	c.serveStream(ctx, o, conn)
}

// serveStream hands a stream to the handler. When ctx ends the handler has stopTime
// to say goodbye.
func (c *Client) serveStream(ctx context.Context, o Open, conn *tls.Conn) {
	o.Token = "" // spent, and nobody else's business
	st := newStream(conn)
	defer st.Close()
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now().Add(stopTime)) })
	defer stop()
	c.cfg.Handler.Stream(ctx, o, st)
}

// verdictOf is the refusal that stands in err.
func verdictOf(err error) Verdict {
	a := ackOf(err, time.Time{})
	return Verdict{Kind: a.Kind, Message: a.Message, Next: a.Next}
}

func busy() error {
	return session.Errorf(session.Unreachable, "The agent has too much to do.").
		WithNext("Try again in a moment.")
}
