package lobby

import (
	"container/list"
	"context"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Lobby holds the places. Safe for concurrent use.
type Lobby struct {
	most, share int
	now         func() time.Time
	shakes      *Pace // handshakes of strangers, by network; nil: as many as they like
	known       *Pace // networks that somebody came from who proved something: an empty bucket

	mu     sync.Mutex
	inside int
	turn   uint64 // of the last who came or moved
	crowds map[string]*crowd
}

// New makes a lobby of most places, of which one crowd gets share at most.
func New(most, share int) *Lobby {
	return &Lobby{most: most, share: share, now: time.Now, crowds: map[string]*crowd{}}
}

// NewKnown remembers networks from which somebody came who proved something; several
// lobbies may share it.
func NewKnown() *Pace { return NewPace(knownTime, 1) }

// Slow gives each network so many handshakes at once, and one more every so often. A network
// that is known is never slowed: behind one address may be a whole hospital.
func (l *Lobby) Slow(every time.Duration, burst int, known *Pace) {
	l.shakes, l.known = NewPace(every, burst), known
}

// Knows reports whether somebody came from a connection's network lately who proved something.
func (l *Lobby) Knows(addr net.Addr) bool { return l.knows(Network(addr).String()) }

func (l *Lobby) knows(from string) bool { return l.known != nil && !l.known.Has(from, l.now()) }

// crowd are those of one network, or of one name, each list from who came or moved first.
type crowd struct{ idle, busy list.List }

func (c *crowd) size() int {
	if c == nil {
		return 0
	}
	return c.idle.Len() + c.busy.Len()
}

// first is who goes first: the idle, then whoever has been at it for longer than is due,
// or any at all.
func (c *crowd) first(due time.Time, whoever bool) *Place {
	if e := c.idle.Front(); e != nil {
		return e.Value.(*Place)
	}
	if e := c.busy.Front(); e != nil {
		if p := e.Value.(*Place); whoever || p.since.Before(due) {
			return p
		}
	}
	return nil
}

// Place is one connection's. Its methods may be called on a nil Place, which is nobody's.
type Place struct {
	lobby *Lobby
	from  string
	shut  func()

	at    *list.Element // of the list that it is in; nil once it has left
	busy  bool
	since time.Time
	turn  uint64
}

// Enter gives a connection of a network a place; see EnterAs.
func (l *Lobby) Enter(addr net.Addr, shut func()) (*Place, bool) {
	return l.EnterAs(Network(addr).String(), shut)
}

// EnterAs gives a connection a place among those of a name. shut closes the connection; it is called at most once,
// when the place is given to somebody else, and must not block. Without a place the
// connection has to go: all that could be shed are of crowds that hold no more than its own.
func (l *Lobby) EnterAs(from string, shut func()) (*Place, bool) {
	p := &Place{lobby: l, from: from, shut: shut}
	shed, ok := l.seat(p)
	if shed != nil {
		shed.shut()
	}
	return p, ok
}

// seat finds p a place, and who had to give it up.
func (l *Lobby) seat(p *Place) (shed *Place, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	due, own := l.now().Add(-busyTime), l.crowds[p.from]
	full := true
	switch {
	case own.size() >= l.share:
		shed = own.first(due, false)
	case l.inside >= l.most:
		shed = l.victim(p.from, due)
	default:
		full = false
	}
	if full && shed == nil {
		return nil, false
	}
	if full {
		l.remove(shed)
	}
	l.insert(p, false)
	return shed, true
}

// victim is who goes for a newcomer when all places are taken: one of the crowds that
// hold the most, so that nobody who holds less than an equal part is ever shed for others.
func (l *Lobby) victim(from string, due time.Time) (found *Place) {
	own, size := l.crowds[from].size(), 0
	for name, c := range l.crowds {
		n := c.size()
		if n < size || n <= own && name != from {
			continue
		}
		p := c.first(due, n > own+1)
		if p != nil && (n > size || p.before(found)) {
			found, size = p, n
		}
	}
	return found
}

// before reports whether p is shed rather than q.
func (p *Place) before(q *Place) bool {
	if p.busy != q.busy {
		return q.busy
	}
	return p.turn < q.turn
}

// Begins reports whether the connection may begin a handshake, which costs us more than it
// costs a stranger.
func (p *Place) Begins() bool {
	l := p.lobby
	return l.shakes == nil || l.knows(p.from) || l.shakes.Allow(p.from, l.now())
}

// Proven gives the place back, because the connection has shown who it is. Its network is
// known from then on.
func (p *Place) Proven() {
	if p == nil {
		return
	}
	if p.lobby.known != nil {
		p.lobby.known.Allow(p.from, p.lobby.now())
	}
	p.Leave()
}

// Busy says that whoever has the place is at it, from now on; Idle that it waits again.
func (p *Place) Busy() { p.move(true) }

// Idle says that whoever has the place does nothing.
func (p *Place) Idle() { p.move(false) }

func (p *Place) move(busy bool) {
	if p == nil {
		return
	}
	p.lobby.mu.Lock()
	defer p.lobby.mu.Unlock()
	if p.at != nil && p.busy != busy {
		p.lobby.remove(p)
		p.lobby.insert(p, busy)
	}
}

// Leave gives the place back: the connection is over, or is somebody's who proved something
// that says nothing of its network.
func (p *Place) Leave() {
	if p == nil {
		return
	}
	p.lobby.mu.Lock()
	defer p.lobby.mu.Unlock()
	if p.at != nil {
		p.lobby.remove(p)
	}
}

func (l *Lobby) insert(p *Place, busy bool) {
	c := l.crowds[p.from]
	if c == nil {
		c = &crowd{}
		l.crowds[p.from] = c
	}
	l.turn++
	l.inside++
	p.busy, p.since, p.turn = busy, l.now(), l.turn
	if busy {
		p.at = c.busy.PushBack(p)
	} else {
		p.at = c.idle.PushBack(p)
	}
}

func (l *Lobby) remove(p *Place) {
	c := l.crowds[p.from]
	if p.busy {
		c.busy.Remove(p.at)
	} else {
		c.idle.Remove(p.at)
	}
	p.at = nil
	l.inside--
	if c.size() == 0 {
		delete(l.crowds, p.from)
	}
}

// Network is what counts as one source: a /24 of IPv4, a /64 of IPv6. Whatever is no IP
// address shares one.
func Network(addr net.Addr) netip.Prefix {
	host, _, err := net.SplitHostPort(addr.String())
	if err != nil {
		return netip.Prefix{}
	}
	return NetworkOf(host)
}

// NetworkOf is Network of an address without a port.
func NetworkOf(host string) netip.Prefix {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}
	}
	ip = ip.Unmap().WithZone("")
	bits := networkIPv4
	if ip.Is6() {
		bits = networkIPv6
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// placeKey finds the place of a connection in the context of its calls.
type placeKey struct{}

// With is ctx for calls over the connection that has the place.
func With(ctx context.Context, p *Place) context.Context {
	return context.WithValue(ctx, placeKey{}, p)
}

// Proven takes the connection of a call out of the lobby: it has shown who it is.
func Proven(ctx context.Context) {
	p, _ := ctx.Value(placeKey{}).(*Place)
	p.Proven()
}
