package ledger

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
)

const reserveName = "reserve"

// reserve is a file that holds room on the disk for what narrows: a full disk keeps
// nobody from closing and freezing. What narrows takes a part of it when the disk has
// no room; it is made whole again when there is some.
type reserve struct {
	path  string
	short bool // not whole
}

func newReserve(dir string) *reserve {
	r := &reserve{path: filepath.Join(dir, reserveName), short: true}
	r.fill()
	return r
}

// give frees room for a file of n bytes; false when nothing is left to give.
func (r *reserve) give(n int) bool {
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

// fill makes the reserve whole. Where there is no room for all of it, it stays as it was.
func (r *reserve) fill() {
	if !r.short {
		return
	}
	f, err := os.OpenFile(r.path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return
	}
	size := info.Size()
	if size < reserveSize {
		room := make([]byte, reserveSize-size)
		_, _ = rand.NewChaCha8([32]byte{}).Read(room) // nothing that a file system could store in less
		if _, err := f.WriteAt(room, size); err != nil {
			_ = f.Truncate(size)
			return
		}
	}
	r.short = false
}

// diskFull reports whether the disk refused for want of room.
func diskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
