//go:build linux || darwin

package broker

import (
	"net"
	"os"
	"syscall"
)

// oneDisk reports whether two directories are on one file system.
func oneDisk(a, b string) bool {
	var on [2]uint64
	for i, dir := range []string{a, b} {
		info, err := os.Stat(dir)
		if err != nil {
			return false
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return false
		}
		on[i] = uint64(st.Dev)
	}
	return on[0] == on[1]
}

// disk is how many bytes are free where a directory is, and how many there are.
func disk(dir string) (free, all int64, known bool) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, 0, false
	}
	return int64(st.Bavail) * int64(st.Bsize), int64(st.Blocks) * int64(st.Bsize), true
}

// maxDescriptors is how many files and connections this process can have; 0: unknown.
func maxDescriptors() uint64 {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0
	}
	return l.Cur
}

// number is a connection's descriptor: at least so many are in use, for the system gives the
// lowest that is free.
func number(c net.Conn) (n uint64) {
	if s, ok := c.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { n = uint64(fd) })
		}
	}
	return n
}
