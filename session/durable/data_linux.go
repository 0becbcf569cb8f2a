package durable

import (
	"os"
	"syscall"
)

// SyncData syncs a file's bytes and length; times may be lost.
func SyncData(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }
