package link

import (
	"context"
	"crypto/tls"
	"sync"
	"time"
)

// idleSpare is a warm connection at the agent, from before it is dialled until it
// is used or given up.
type idleSpare struct {
	cancel context.CancelFunc
}

// keepSpares holds as many spares at n as are wanted, while n's control connection
// is up. A used spare is replaced at once, a failed one after a back-off.
func (c *Client) keepSpares(ctx context.Context, n *node) {
	var spares sync.WaitGroup
	defer spares.Wait()
	var b backoff
	var resume time.Time
	failed := make(chan time.Duration, 1) // how long a spare lasted that failed
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.wake:
		case lasted := <-failed:
			resume = time.Now().Add(b.next(lasted))
		}
		if wait := time.Until(resume); wait > 0 {
			if !sleep(ctx, wait) {
				return
			}
		}
		for range c.adjust(n) {
			sctx, cancel := context.WithCancel(ctx)
			s := n.addIdle(cancel)
			spares.Go(func() {
				defer cancel()
				began := time.Now()
				if !c.spare(ctx, sctx, n, s) && sctx.Err() == nil {
					select {
					case failed <- time.Since(began):
					default:
					}
				}
			})
		}
	}
}

// adjust ends spares that are too many and returns how many are missing.
func (c *Client) adjust(n *node) int {
	c.mu.Lock()
	want := c.spares
	c.mu.Unlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.control == nil {
		want = 0
	}
	for s := range n.idle {
		if len(n.idle) <= want {
			break
		}
		delete(n.idle, s)
		s.cancel()
	}
	return want - len(n.idle)
}

func (n *node) addIdle(cancel context.CancelFunc) *idleSpare {
	s := &idleSpare{cancel: cancel}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.idle[s] = struct{}{}
	return s
}

// dropIdle takes s from the idle ones and has it replaced.
func (n *node) dropIdle(s *idleSpare) {
	n.mu.Lock()
	delete(n.idle, s)
	n.mu.Unlock()
	n.nudge()
}

// spare holds one warm connection until the broker opens a stream on it, and then
// serves that stream. It reports false when the connection failed before.
func (c *Client) spare(ctx, sctx context.Context, n *node, s *idleSpare) bool {
	conn, err := c.dial(sctx, n, Role{Role: RoleSpare})
	if err != nil {
		n.forget(s)
		return false
	}
	stop := context.AfterFunc(sctx, func() { _ = conn.Close() })
	o, err := c.awaitOpen(sctx, conn)
	if !stop() || err != nil {
		if err == nil {
			c.release(o)
		}
		_ = conn.Close()
		n.forget(s)
		return false
	}
	n.dropIdle(s)
	defer c.release(o)
	c.serveStream(ctx, o, conn)
	return true
}

// forget takes s from the idle ones; who failed is replaced after a back-off.
func (n *node) forget(s *idleSpare) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.idle, s)
}

// awaitOpen pings until the broker sends an open, and answers it. With a nil error
// a slot for the stream is held.
func (c *Client) awaitOpen(ctx context.Context, conn *tls.Conn) (Open, error) {
	f := &framer{conn: conn}
	ctx, cancel := context.WithCancel(ctx)
	var pinger sync.WaitGroup
	pinger.Go(func() {
		for sleep(ctx, pingEvery) && f.ping() == nil {
		}
	})
	got, err := readOpen(f)
	cancel()
	pinger.Wait() // no ping may follow the verdict
	if err != nil {
		return Open{}, err
	}
	o, err := decode[Open](got.payload)
	if err != nil {
		return Open{}, err
	}
	if _, err := c.admit(o); err != nil {
		return Open{}, errOr(write(f, verbVerdict, got.id, verdictOf(err)), err)
	}
	if err := write(f, verbVerdict, got.id, Verdict{OK: true}); err != nil {
		c.release(o)
		return Open{}, err
	}
	return o, nil
}

func readOpen(f *framer) (frame, error) {
	for {
		got, err := f.read(deadAfter, verbPing, verbOpen)
		if err != nil || got.verb == verbOpen {
			return got, err
		}
	}
}

func errOr(first, second error) error {
	if first != nil {
		return first
	}
	return second
}
