//go:build unix

package broker

import (
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
