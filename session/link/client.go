package link

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
)

// ClientConfig is what an agent needs to hold the link.
type ClientConfig struct {
	Nodes       []Node                           // one or two
	Certificate func() (*tls.Certificate, error) // asked for at every handshake
	Roots       func() *x509.CertPool            // the CA from enrolment
	Hello       func() Hello                     // asked for at every control connection
	Handler     AgentHandler
	// Renew keeps a renewed certificate (KeyPEM is empty: the key stays). After it
	// returned nil, Certificate must return the new one. Nil: no renewal.
	Renew func(Issued) error
	// OnState hears when the first control connection comes up and the last one
	// goes down. It must not block.
	OnState func(up bool)
	// Trusted reports whether a node is one that the hospital accepts: such a node is asked
	// first. Nil: all are.
	Trusted func(node string) bool
	// Dial reaches a node's address; nil dials directly.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	Log  *slog.Logger
}

// Client is the agent's side of the link. Safe for concurrent use.
type Client struct {
	cfg       ClientConfig
	nodes     []*node
	streams   chan struct{}  // a slot per stream of people
	questions chan struct{}  // and of questions to issuers
	tasks     sync.WaitGroup // streams: they outlive the control connection; Run waits for them
	uploads   uploads
	heads     uploads
	renewal   chan struct{} // held while a renewal is under way

	mu     sync.Mutex
	up     int       // control connections that the broker has welcomed
	since  time.Time // of the last change between none and some
	spares int       // wanted per node
}

// node is a configured broker node with what the client holds there.
type node struct {
	Node
	wake chan struct{} // something that concerns spares has changed; buffered 1

	mu      sync.Mutex
	control *control // nil while down
	idle    map[*idleSpare]struct{}
}

// NewClient checks the configuration; Run does the work.
func NewClient(cfg ClientConfig) (*Client, error) {
	if err := checkNodes(cfg.Nodes); err != nil {
		return nil, err
	}
	if cfg.Certificate == nil || cfg.Roots == nil || cfg.Hello == nil || cfg.Handler == nil || cfg.Log == nil {
		return nil, errors.New("link client: certificate, roots, hello, handler and log must be set")
	}
	c := &Client{
		cfg: cfg, streams: make(chan struct{}, MaxStreams-maxQuestions), questions: make(chan struct{}, maxQuestions), renewal: make(chan struct{}, 1),
		uploads: newUploads(), heads: newUploads(), since: time.Now(),
	}
	for _, n := range cfg.Nodes {
		c.nodes = append(c.nodes, &node{Node: n, wake: make(chan struct{}, 1), idle: make(map[*idleSpare]struct{})})
	}
	return c, nil
}

// Run holds a control connection to every node until ctx ends, and returns ctx's
// error once all streams have ended.
func (c *Client) Run(ctx context.Context) error {
	var nodes sync.WaitGroup
	for _, n := range c.nodes {
		nodes.Go(func() { c.hold(ctx, n) })
		nodes.Go(func() { c.keepSpares(ctx, n) })
	}
	nodes.Wait()
	c.tasks.Wait()
	c.uploads.close()
	c.heads.close()
	return ctx.Err()
}

// Connected reports whether any control connection is up, and since when it is so.
func (c *Client) Connected() (up bool, since time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.up > 0, c.since
}

// Report tells the broker of a session. Nil means the broker has it; anything else
// that the caller should report again.
func (c *Client) Report(ctx context.Context, r SessionReport) error {
	ctl := c.anyControl()
	if ctl == nil {
		return notConnected()
	}
	f, err := ask(ctx, ctl.framer, ctl.calls, verbReport, r)
	if err != nil {
		return lost(err)
	}
	return readAck(f)
}

// Reintroduce says hello anew to every node, on a new control connection. Streams stay.
func (c *Client) Reintroduce() {
	for _, ctl := range c.controls() {
		_ = ctl.conn.Close()
	}
}

// KeepSpares sets how many warm connections wait at each node, at most MaxSpares.
func (c *Client) KeepSpares(n int) {
	c.mu.Lock()
	c.spares = min(max(n, 0), MaxSpares)
	c.mu.Unlock()
	for _, n := range c.nodes {
		n.nudge()
	}
}

func notConnected() error {
	return session.Errorf(session.Unreachable, "The agent is not connected to the broker.").
		WithNext("It tries again by itself; the agent's status says how it stands.")
}

// controls are the control connections that are up: those of trusted nodes first.
func (c *Client) controls() []*control {
	var first, then []*control
	for _, n := range c.nodes {
		n.mu.Lock()
		ctl := n.control
		n.mu.Unlock()
		switch {
		case ctl == nil:
		case c.cfg.Trusted == nil || c.cfg.Trusted(n.Name):
			first = append(first, ctl)
		default:
			then = append(then, ctl)
		}
	}
	return append(first, then...)
}

// anyControl is a control connection that is up, or nil.
func (c *Client) anyControl() *control {
	if all := c.controls(); len(all) > 0 {
		return all[0]
	}
	return nil
}

// anyNode is a node to dial: one whose control connection is up, or else the first.
func (c *Client) anyNode() *node {
	if ctl := c.anyControl(); ctl != nil {
		return ctl.node
	}
	return c.nodes[0]
}

func (c *Client) nodeNamed(name string) *node {
	for _, n := range c.nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// setControl notes that n's control connection is up, or down (nil).
func (c *Client) setControl(n *node, ctl *control) {
	n.mu.Lock()
	changed := (n.control == nil) != (ctl == nil)
	n.control = ctl
	n.mu.Unlock()
	n.nudge()
	if changed {
		c.count(ctl != nil)
	}
}

func (c *Client) count(up bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.up > 0
	if up {
		c.up++
	} else {
		c.up--
	}
	if after := c.up > 0; after != before {
		c.since = time.Now()
		if c.cfg.OnState != nil {
			c.cfg.OnState(after) // under the lock: changes are heard in their order
		}
	}
}

func (n *node) nudge() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// dial opens a connection to n and says what it is for.
func (c *Client) dial(ctx context.Context, n *node, r Role) (*tls.Conn, error) {
	cfg := baseTLS()
	cfg.ServerName = n.Name
	cfg.RootCAs = c.cfg.Roots()
	cfg.VerifyConnection = checkState
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return c.cfg.Certificate()
	}
	if cfg.RootCAs == nil {
		return nil, errors.New("no CA to check the broker with")
	}
	conn, err := dialTLS(ctx, c.cfg.Dial, n.Node, cfg)
	if err != nil {
		return nil, err
	}
	r.V = Version
	if err := write(&framer{conn: conn}, verbRole, 0, r); err != nil {
		_ = conn.Close()
		return nil, lost(err)
	}
	return conn, nil
}

// Relay opens a connection to the host of a pinned issuer through the broker. The
// agent speaks TLS to the issuer itself; the broker sees ciphertext. It lasts a
// minute at most.
func (c *Client) Relay(ctx context.Context, issuer string) (net.Conn, error) {
	role := Role{V: Version, Role: RoleRelay, Issuer: issuer}
	if err := role.check(); err != nil {
		return nil, err
	}
	conn, err := c.dial(ctx, c.anyNode(), role)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	f := &framer{conn: conn}
	answer, err := f.read(answerTime, verbAck)
	if err == nil {
		err = readAck(answer)
	}
	if err == nil {
		err = f.raw()
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return nil, lost(err)
	}
	return newStream(conn), nil
}
