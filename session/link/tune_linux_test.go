package link

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

type wrapped struct{ net.Conn }

func (w wrapped) NetConn() net.Conn { return w.Conn }

// A connection is tuned however it is wrapped: the broker's port wraps those of agents.
func TestAWrappedConnectionIsTuned(t *testing.T) {
	tcp, far := tcpPair(t)
	defer tcp.Close()
	defer far.Close()
	option := func(level, name int) (n int) {
		raw, err := tcp.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		_ = raw.Control(func(fd uintptr) { n, err = unix.GetsockoptInt(int(fd), level, name) })
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if option(unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT) == 128<<10 {
		t.Fatal("tuned before it was")
	}
	tune(wrapped{wrapped{tcp}})
	if n := option(unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT); n != 128<<10 {
		t.Errorf("TCP_NOTSENT_LOWAT is %d", n)
	}
	if option(unix.SOL_SOCKET, unix.SO_KEEPALIVE) == 0 || option(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE) != 15 {
		t.Error("keepalive is not set")
	}
	tune(wrapped{nil})
}
