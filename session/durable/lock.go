package durable

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Held is the error of Lock when another process has the lock.
type Held struct {
	Path string
	By   string // "process 4711 since 2026-05-04T10:00:00Z", or "another process"
}

func (h *Held) Error() string { return h.By + " holds " + h.Path }

// Lock takes an advisory lock, which the system gives back when the process ends, and
// writes down who has it. Where the system has no such locks it refuses.
func Lock(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, private)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		if err == errHeld {
			err = &Held{Path: path, By: holder(f)}
		}
		_ = f.Close()
		return nil, err
	}
	// What stands in it is for people; the lock is held whether or not it can be written.
	if f.Truncate(0) == nil {
		_, _ = fmt.Fprintf(f, holderLine+"\n", os.Getpid(), time.Now().UTC().Format(time.RFC3339))
	}
	return f.Close, nil
}

const holderLine = "process %d since %s"

// holder reads who has the lock. Anything else than what Lock writes is not repeated.
func holder(f io.ReaderAt) string {
	b := make([]byte, maxHolder)
	n, _ := f.ReadAt(b, 0)
	line, _, whole := strings.Cut(string(b[:n]), "\n")
	var pid int
	var since string
	if _, err := fmt.Sscanf(line, holderLine, &pid, &since); err != nil || !whole {
		return "another process"
	}
	if _, err := time.Parse(time.RFC3339, since); err != nil || fmt.Sprintf(holderLine, pid, since) != line {
		return "another process"
	}
	return line
}
