//go:build !unix

package durable

import (
	"errors"
	"os"
)

var errHeld = errors.New("held")

// lock refuses: without a lock two processes could write one directory.
func lock(*os.File) error { return errors.New("no file locks on this system") }

// WaitLock refuses, too.
func WaitLock(f *os.File) error { return lock(f) }
