//go:build !linux

package durable

import "os"

// SyncData syncs a file's bytes and length; times may be lost.
func SyncData(f *os.File) error { return f.Sync() }
