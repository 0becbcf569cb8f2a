package sshd

import (
	"errors"
	"net"
	"net/netip"
	"sync"
)

// limiter counts the connections that have not proven a key yet, so that strangers
// cannot keep engineers out. The zero value is an empty limiter.
type limiter struct {
	mu    sync.Mutex
	total int
	per   map[netip.Prefix]int
}

// enter counts a connection in, or says why it must go. The returned function
// counts it out, once however often it is called.
func (c *limiter) enter(addr net.Addr) (leave func(), err error) {
	from := neighbourhood(addr)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.total >= maxUnauthenticated {
		return nil, errors.New("too many connections that have not signed in")
	}
	if c.per[from] >= maxUnauthenticatedIP {
		return nil, errors.New("too many connections from this address that have not signed in")
	}
	if c.per == nil {
		c.per = map[netip.Prefix]int{}
	}
	c.total++
	c.per[from]++
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.total--
		if c.per[from]--; c.per[from] == 0 {
			delete(c.per, from)
		}
	}), nil
}

// neighbourhood is what counts as one address: an IPv4 address, an IPv6 /64.
// Whatever is no IP address shares one place.
func neighbourhood(addr net.Addr) netip.Prefix {
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.Prefix{}
	}
	ip := ap.Addr().Unmap().WithZone("")
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
