package recordings

import "golang.org/x/sys/unix"

// bootMicros is the time since the machine started, suspended time included.
func bootMicros() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0
	}
	return t.Nano() / 1000
}
