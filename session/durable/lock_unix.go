//go:build unix

package durable

import (
	"errors"
	"os"
	"syscall"
)

const errHeld = syscall.EWOULDBLOCK

func lock(f *os.File) error { return flock(f, syscall.LOCK_EX|syscall.LOCK_NB) }

// WaitLock waits for an open file's lock, which is given back when the file is closed.
func WaitLock(f *os.File) error { return flock(f, syscall.LOCK_EX) }

func flock(f *os.File, how int) error {
	err := syscall.Flock(int(f.Fd()), how)
	for errors.Is(err, syscall.EINTR) {
		err = syscall.Flock(int(f.Fd()), how)
	}
	return err
}
