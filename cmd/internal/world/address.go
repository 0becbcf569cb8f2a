package world

import (
	"math/rand/v2"
	"net"
	"strconv"

	"github.com/sallyport/sallyport/session"
)

// settle decides on which loopback address a door stands. A named address is
// taken as it is, with port 0 made real now so that it survives the broker's
// restarts; without one, the usual port is preferred and any free one will do.
func settle(flag, named, usual string) (string, error) {
	if named == "" {
		if addr, err := reserve(usual); err == nil {
			return addr, nil
		}
		return FreeAddress()
	}
	host, _, err := net.SplitHostPort(named)
	if err != nil || !session.Loopback(host) {
		return "", session.Errorf(session.Invalid, "The demonstration speaks plain HTTP and serves loopback only; %s %q is something else", flag, named).
			WithNext("Use an address such as " + usual + ".")
	}
	addr, err := reserve(named)
	if err != nil {
		return "", session.Errorf(session.Invalid, "The address of %s cannot be used: %w", flag, err).WithNext("Choose another port, or leave the flag away.")
	}
	return addr, nil
}

// FreeAddress is one of loopback where nobody listens, and which nobody's connection takes.
func FreeAddress() (string, error) { return reserve("127.0.0.1:0") }

// reserve finds out whether an address can be listened on, and its real port. For port 0
// that is one of those which no system gives to outgoing connections: between now and the
// moment when a child listens there, a connection of anybody could take one of those others.
func reserve(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port != "0" {
		return listened(addr)
	}
	for range 100 {
		port := strconv.Itoa(firstPort + rand.IntN(lastPort-firstPort))
		if addr, err = listened(net.JoinHostPort(host, port)); err == nil {
			return addr, nil
		}
	}
	return "", err
}

func listened(addr string) (string, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}
