package audit

import (
	"os"
	"syscall"
)

// syncData syncs a file's bytes and length; times may be lost.
func syncData(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }
