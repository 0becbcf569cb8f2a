package mpps

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// Config is where an asset's procedure steps are heard.
type Config struct {
	Listen  string       // address and port of the hospital's own network
	Called  string       // our AE title
	Calling []string     // AE titles of the asset
	From    []netip.Addr // addresses of the asset
}

// Ports are the ports of one agent; assets that name the same one share it. The zero value
// is ready.
type Ports struct {
	mu  sync.Mutex
	all map[netip.AddrPort]*port
}

// Source hears one asset.
type Source struct {
	cfg   Config
	port  *port
	steps *steps
}

// Source makes an asset's source. It opens no port yet.
func (p *Ports) Source(cfg Config) (*Source, error) {
	at, err := netip.ParseAddrPort(cfg.Listen)
	switch {
	case err != nil || at.Port() == 0:
		return nil, errors.New(`the port that hears procedure steps is one address of this machine and a port, "10.40.10.5:11112"`)
	case at.Addr().IsUnspecified() || at.Addr().IsMulticast():
		return nil, errors.New("the port that hears procedure steps is on one address of the hospital's own network, never on all")
	case !ValidTitle(cfg.Called) || len(cfg.Calling) == 0 || !all(cfg.Calling, ValidTitle):
		return nil, errors.New("an AE title has 1 to 16 printable characters")
	case len(cfg.From) == 0:
		return nil, errors.New("the addresses are needed from which the scanner reports")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil {
		p.all = map[netip.AddrPort]*port{}
	}
	if p.all[at] == nil {
		p.all[at] = &port{at: at, listen: net.Listen}
	}
	s := &Source{cfg: cfg, port: p.all[at]}
	return s, s.port.add(s)
}

func all[T any](list []T, ok func(T) bool) bool {
	return !slices.ContainsFunc(list, func(x T) bool { return !ok(x) })
}

// Run tells what the scanner reports until ctx ends.
func (s *Source) Run(ctx context.Context, tell func(state session.ModalityState, detail string)) error {
	steps := newSteps()
	leave := s.port.join(s, steps)
	defer leave()
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for {
		state, detail := steps.now(time.Now())
		if err := s.port.trouble(); err != nil {
			state, detail = session.ModalityUnknown, "procedures are not heard: "+wording.Line(err.Error(), maxDetail)
		}
		tell(state, detail)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		case <-steps.change:
		}
	}
}

// port is one listener. It is open while a source of it runs.
type port struct {
	at     netip.AddrPort
	listen func(network, address string) (net.Listener, error)

	mu      sync.Mutex
	sources []*Source // all that there are
	running int
	stop    func() // waits until the port is closed
	err     error  // why it is not open
	guests  []*guest
}

// guest is a connection that was taken.
type guest struct {
	conn net.Conn
	from netip.Addr
}

// add refuses a scanner that could be two.
func (p *port) add(s *Source) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, other := range p.sources {
		if other.cfg.Called != s.cfg.Called {
			return fmt.Errorf("%s has one AE title, not both %s and %s", p.at, other.cfg.Called, s.cfg.Called)
		}
		if overlap(other.cfg.From, s.cfg.From) && overlap(other.cfg.Calling, s.cfg.Calling) {
			return errors.New("another asset has the same AE title at the same address")
		}
	}
	p.sources = append(p.sources, s)
	return nil
}

func overlap[T comparable](a, b []T) bool {
	return slices.ContainsFunc(a, func(x T) bool { return slices.Contains(b, x) })
}

// join opens the port for its first source; leave closes it after its last.
func (p *port) join(s *Source, steps *steps) (leave func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.steps = steps
	if p.running++; p.running == 1 {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); p.serve(ctx) }()
		p.stop = func() { cancel(); <-done }
	}
	return func() {
		p.mu.Lock()
		s.steps = nil
		p.running--
		stop := p.stop
		last := p.running == 0
		p.mu.Unlock()
		if last {
			stop()
		}
	}
}

func (p *port) trouble() error { p.mu.Lock(); defer p.mu.Unlock(); return p.err }

func (p *port) is(err error) { p.mu.Lock(); defer p.mu.Unlock(); p.err = err }

// serve listens, again and again, until ctx ends.
func (p *port) serve(ctx context.Context) {
	for ctx.Err() == nil {
		l, err := p.listen("tcp", p.at.String())
		if p.is(err); err == nil {
			p.is(p.hear(ctx, l))
		}
		select {
		case <-ctx.Done():
		case <-time.After(listenAgain):
		}
	}
}

// hear takes connections until ctx ends, and waits for those that it took.
func (p *port) hear(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var taken sync.WaitGroup
	defer taken.Wait()
	defer cancel()
	context.AfterFunc(ctx, func() { _ = l.Close(); p.dismiss() })
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		g := &guest{conn: conn, from: peer(conn)}
		if !p.admit(ctx, g) {
			_ = conn.Close()
			continue
		}
		taken.Go(func() {
			defer p.gone(g)
			_ = converse(conn, func(q request) (*steps, rejection) { return p.who(g.from, q) })
		})
	}
}

func peer(conn net.Conn) netip.Addr {
	at, _ := netip.ParseAddrPort(conn.RemoteAddr().String())
	return at.Addr().Unmap().WithZone("")
}

// admit takes a connection of an address that is a scanner's. A scanner that has too many
// loses its oldest, so that one which died on the way keeps no later one out.
func (p *port) admit(ctx context.Context, g *guest) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ctx.Err() != nil || !slices.ContainsFunc(p.sources, func(s *Source) bool { return slices.Contains(s.cfg.From, g.from) }) {
		return false
	}
	same, oldest := 0, -1
	for i, other := range p.guests {
		if other.from == g.from {
			if same++; oldest < 0 {
				oldest = i
			}
		}
	}
	if same == maxOfOne {
		_ = p.guests[oldest].conn.Close()
		p.guests = slices.Delete(p.guests, oldest, oldest+1)
	}
	p.guests = append(p.guests, g)
	return true
}

func (p *port) gone(g *guest) {
	_ = g.conn.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.guests = slices.DeleteFunc(p.guests, func(other *guest) bool { return other == g })
}

func (p *port) dismiss() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, g := range p.guests {
		_ = g.conn.Close()
	}
}

// who says which asset asks for an association.
func (p *port) who(from netip.Addr, q request) (*steps, rejection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.sources {
		switch {
		case s.cfg.Called != q.called:
			return nil, noSuchCalled
		case s.steps != nil && slices.Contains(s.cfg.From, from) && slices.Contains(s.cfg.Calling, q.calling):
			return s.steps, 0
		}
	}
	return nil, noSuchCalling
}
