package durable

import (
	"errors"
	"math/rand/v2"
	"os"
	"syscall"
)

// Reserve is a file that holds room on the disk for what must not be kept waiting by a
// full one. Such a write takes a part of it when the disk has no room; it is made whole
// again when there is some. Not safe for concurrent use.
type Reserve struct {
	path  string
	size  int64
	short bool // not whole
}

// NewReserve makes a reserve of size bytes at path, as far as there is room.
func NewReserve(path string, size int64) *Reserve {
	r := &Reserve{path: path, size: size, short: true}
	r.Fill()
	return r
}

// Give frees room for n bytes; false when nothing is left to give.
func (r *Reserve) Give(n int) bool {
	r.short = true
	f, err := os.OpenFile(r.path, os.O_WRONLY, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return false
	}
	err = f.Truncate(max(0, info.Size()-int64(n)-reserveStep))
	_ = f.Sync() // some file systems free what was cut off only now
	return err == nil
}

// Fill makes the reserve whole and reports whether it is. Where there is no room for all
// of it, it stays as it was.
func (r *Reserve) Fill() bool {
	if !r.short {
		return true
	}
	f, err := os.OpenFile(r.path, os.O_WRONLY|os.O_CREATE, private)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false
	}
	if size := info.Size(); size < r.size {
		room := make([]byte, r.size-size)
		_, _ = rand.NewChaCha8([32]byte{}).Read(room) // nothing that a file system could store in less
		if _, err := f.WriteAt(room, size); err != nil {
			_ = f.Truncate(size)
			return false
		}
	}
	r.short = false
	return true
}

// Full reports whether a write failed for want of room.
func Full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
