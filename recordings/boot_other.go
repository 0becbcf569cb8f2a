//go:build !linux

package recordings

// bootMicros is 0 where the machine does not tell: unknown.
func bootMicros() int64 { return 0 }
