//go:build !linux

package console

import "net"

// mine trusts the socket's mode where the kernel does not tell who the peer is.
func mine(*net.UnixConn) bool { return true }
