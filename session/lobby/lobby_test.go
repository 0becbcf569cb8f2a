package lobby

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func at(s string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s)) }

func TestNetwork(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1:1", "192.0.2.254:9", true},
		{"192.0.2.1:1", "[::ffff:192.0.2.9]:9", true},
		{"192.0.2.1:1", "192.0.3.1:1", false},
		{"[2001:db8:0:1::1]:22", "[2001:db8:0:1:ffff::1]:9", true},
		{"[2001:db8:0:1::1]:22", "[2001:db8:0:2::1]:22", false},
		{"[fe80::1%eth0]:22", "[fe80::1%eth1]:22", true},
		{"127.0.0.1:1", "127.0.0.2:1", true},
	} {
		if same := Network(at(c.a)) == Network(at(c.b)); same != c.same {
			t.Errorf("%s and %s are one network: %v", c.a, c.b, same)
		}
	}
	if got := Network(&net.UnixAddr{Name: "socket"}); got != (netip.Prefix{}) {
		t.Errorf("a socket is of network %v", got)
	}
}

// hall is a lobby with a clock, and what became of who entered.
type hall struct {
	*Lobby
	clock time.Time
	shed  []string
}

func newHall(most, share int) *hall {
	h := &hall{Lobby: New(most, share), clock: time.Unix(1, 0)}
	h.now = func() time.Time { return h.clock }
	return h
}

func (h *hall) enter(t *testing.T, addr string) *Place {
	t.Helper()
	p, ok := h.Enter(at(addr), func() { h.shed = append(h.shed, addr) })
	if !ok {
		t.Fatalf("%s found no place", addr)
	}
	return p
}

func (h *hall) gone(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(h.shed, want) {
		t.Errorf("shed %q, want %q", h.shed, want)
	}
	h.shed = nil
}

// A network that holds its share gives up its own places, of the idle first.
func TestShareOfANetwork(t *testing.T) {
	h := newHall(100, 3)
	first := h.enter(t, "192.0.2.1:1")
	h.enter(t, "192.0.2.2:1")
	h.enter(t, "192.0.2.3:1")
	h.enter(t, "198.51.100.1:1")
	h.gone(t)
	first.Busy()
	h.enter(t, "192.0.2.4:1").Busy()
	h.gone(t, "192.0.2.2:1")
	h.enter(t, "192.0.2.5:1").Busy()
	h.gone(t, "192.0.2.3:1")
	if _, ok := h.Enter(at("192.0.2.6:1"), nil); ok {
		t.Error("one who is at it was shed for a neighbour")
	}
	h.clock = h.clock.Add(busyTime + 1)
	first.Idle()
	h.enter(t, "192.0.2.7:1").Busy()
	h.gone(t, "192.0.2.1:1")
	h.enter(t, "192.0.2.8:1")
	h.gone(t, "192.0.2.4:1") // has been at it for long enough
	first.Leave()            // it is gone already
	if h.inside != 4 {
		t.Errorf("%d inside", h.inside)
	}
}

// A network has a share of the handshakes; one that is known is never slowed, and slows
// nobody; what is known is shared by the doors, and forgotten.
func TestHandshakesHaveAShare(t *testing.T) {
	h, door, known := newHall(100, 100), newHall(100, 100), NewKnown()
	h.Slow(time.Second, 3, known)
	door.Slow(time.Second, 3, known)
	begins := func(h *hall, addr string) (n int) {
		for range 20 {
			p := h.enter(t, addr)
			if p.Begins() {
				n++
			}
			p.Leave()
		}
		return n
	}
	is := func(what string, h *hall, addr string, want int) {
		t.Helper()
		if n := begins(h, addr); n != want {
			t.Errorf("%s: %d of 20 handshakes, want %d", what, n, want)
		}
	}
	is("a stranger", h, "192.0.2.1:1", 3)
	is("the same network", h, "192.0.2.99:1", 0)
	is("another", h, "198.51.100.1:1", 3)
	h.clock = h.clock.Add(2 * time.Second)
	is("two seconds later", h, "192.0.2.1:1", 2)
	if h.Knows(at("203.0.113.1:1")) {
		t.Error("a stranger is known")
	}
	p := h.enter(t, "203.0.113.1:1")
	p.Proven()
	if h.inside != 0 || !h.Knows(at("203.0.113.2:9")) || !door.Knows(at("203.0.113.2:9")) || h.Knows(at("203.0.114.2:9")) {
		t.Error("who has proven something is inside, or its network is not known, or others are")
	}
	is("a known network", h, "203.0.113.7:1", 20)
	is("a known network at the other door", door, "203.0.113.7:1", 20)
	h.clock = h.clock.Add(knownTime)
	is("a day later", h, "203.0.113.7:1", 3)
	(*Place)(nil).Proven()
	open := newHall(100, 100)
	is("a lobby without such a share", open, "192.0.2.1:1", 20)
	t.Log("ATTACK | handshakes without end from one network | its share a second; a network that somebody proved something from is never slowed | 3 of 20, 20 of 20 | holds")
}

// When all places are taken those go that hold the most.
func TestAllPlaces(t *testing.T) {
	h := newHall(10, 8)
	h.enter(t, "192.0.2.1:1")
	for i := range 8 {
		h.enter(t, fmt.Sprintf("198.51.100.%d:1", i)).Busy()
	}
	proven := h.enter(t, "203.0.113.1:1")
	h.enter(t, "203.0.113.2:1")
	h.gone(t, "198.51.100.0:1")
	proven.Leave()
	for i := range 4 {
		h.enter(t, fmt.Sprintf("203.0.%d.1:1", i))
	}
	h.gone(t, "198.51.100.1:1", "198.51.100.2:1", "198.51.100.3:1")
}

// model is what a test knows of a lobby.
type model struct {
	*hall
	inside []*guest
	last   *guest // who was shed by the last newcomer
}

type guest struct {
	place *Place
	net   int
	busy  bool
	since time.Time
}

func (m *model) held(net int) (n int) {
	for _, g := range m.inside {
		if g.net == net {
			n++
		}
	}
	return n
}

// networks counts those inside, and the newcomer's.
func (m *model) networks(newcomer int) int {
	all := map[int]bool{newcomer: true}
	for _, g := range m.inside {
		all[g.net] = true
	}
	return len(all)
}

func (m *model) drop(g *guest) bool {
	i := slices.Index(m.inside, g)
	if i >= 0 {
		m.inside = slices.Delete(m.inside, i, i+1)
	}
	return i >= 0
}

func (m *model) enter(t *rapid.T, g *guest) {
	own, nets, before := m.held(g.net), m.networks(g.net), len(m.inside)
	held := map[int]int{}
	for _, each := range m.inside {
		held[each.net]++
	}
	m.last = nil
	p, ok := m.Enter(at(fmt.Sprintf("192.0.%d.%d:1", g.net, before+1)), func() {
		if !m.drop(g) {
			t.Fatal("shed, and not inside")
		}
		m.last = g
	})
	if ok {
		g.place = p
		m.inside = append(m.inside, g)
	}
	shed := m.last
	switch {
	case !ok && own < m.share && (before < m.most || (own+1)*nets < m.most):
		t.Fatalf("a network with %d of %d was refused one, beside %d networks", own, m.most, nets-1)
	case !ok && shed != nil, ok && shed != nil && own < m.share && before < m.most:
		t.Fatal("shed for nothing")
	case shed == nil:
	case shed.net != g.net && own >= m.share:
		t.Fatal("shed for a network that has its share")
	case shed.net != g.net && held[shed.net]*nets < m.most:
		t.Fatalf("a network with %d of %d was shed from, beside %d networks", held[shed.net], m.most, nets-1)
	case shed.busy && m.clock.Sub(shed.since) <= busyTime && (shed.net == g.net || held[shed.net] <= own+1):
		t.Fatal("one who is at it was shed for one who has as much")
	case shed.busy && slices.ContainsFunc(m.inside, func(o *guest) bool { return o != g && o.net == shed.net && !o.busy }):
		t.Fatal("one who is at it was shed before one who is idle")
	}
}

// Whatever comes, moves, leaves and in whatever order: the bounds hold, nobody is shed who
// has left, and no network loses a place to another, or is refused one, while it holds
// less than an equal part of all.
func TestBoundsAndShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 12).Draw(t, "most")
		m := &model{hall: newHall(most, rapid.IntRange(1, most).Draw(t, "share"))}
		some := func(do func(*guest)) func(*rapid.T) {
			return func(t *rapid.T) {
				if len(m.inside) > 0 {
					do(m.inside[rapid.IntRange(0, len(m.inside)-1).Draw(t, "who")])
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"enter": func(t *rapid.T) { m.enter(t, &guest{net: rapid.IntRange(0, 5).Draw(t, "net")}) },
			"busy": some(func(g *guest) {
				g.place.Busy()
				if !g.busy {
					g.busy, g.since = true, m.clock
				}
			}),
			"idle":  some(func(g *guest) { g.place.Idle(); g.busy = false }),
			"leave": some(func(g *guest) { g.place.Leave(); m.drop(g) }),
			"wait": func(t *rapid.T) {
				m.clock = m.clock.Add(time.Duration(rapid.IntRange(1, 6).Draw(t, "seconds")) * time.Second)
			},
			"": func(t *rapid.T) {
				if m.hall.inside != len(m.inside) || len(m.inside) > m.most {
					t.Fatalf("%d of %d inside, there should be %d", m.hall.inside, m.most, len(m.inside))
				}
				for net := range 6 {
					if m.held(net) > m.share {
						t.Fatalf("one network has %d, its share is %d", m.held(net), m.share)
					}
				}
			},
		})
	})
}
