package link

import (
	"net"

	"golang.org/x/sys/unix"
)

// tuneSystem keeps little unsent data in the kernel, so that a keystroke does not
// queue behind a bulk transfer's backlog. It is not worth an error. There is no
// TCP_USER_TIMEOUT: it would also end a stream whose reader pauses for as long.
func tuneSystem(t *net.TCPConn) {
	raw, err := t.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, 128<<10)
	})
}
