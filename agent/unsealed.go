package agent

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/agent/spool"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
)

// unsealed are recordings that ended without a seal, because the disk was full or could
// not be written. Each is sealed as soon as the disk lets it, and does not wait for the
// agent's next start.
type unsealed struct {
	recover func(dir string, reason session.EndReason) error
	sealed  func() // one was
	log     *slog.Logger

	mu   sync.Mutex
	dirs map[string]session.EndReason
}

// watched is a recorder that takes no more of the disk than its share, and leaves nothing
// unsealed behind for good.
type watched struct {
	*recordings.Writer
	dir  string
	left *unsealed
	use  *spool.Use
}

// Record refuses what goes beyond the share: the session ends, and others go on.
func (w watched) Record(e session.Event) error {
	if err := w.use.Over(); err != nil {
		return err
	}
	return w.Writer.Record(e)
}

// Close seals the recording, now or later.
func (w watched) Close(reason session.EndReason) error {
	err := w.Writer.Close(reason)
	if err != nil {
		w.left.add(w.dir, reason)
	}
	return err
}

// add takes a recording that nobody writes any more.
func (u *unsealed) add(dir string, reason session.EndReason) {
	if _, err := os.Stat(filepath.Join(dir, recordings.SealPart)); err == nil {
		return // it was sealed torn
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.dirs[dir] = reason
}

// run tries until ctx is over.
func (u *unsealed) run(ctx context.Context) error {
	ticker := time.NewTicker(sealAgain)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
			u.round()
		}
	}
}

// round tries each once; what the disk refuses stays. Why was in the log when the recorder
// was lost.
func (u *unsealed) round() {
	u.mu.Lock()
	dirs := maps.Clone(u.dirs)
	u.mu.Unlock()
	for _, dir := range slices.Sorted(maps.Keys(dirs)) {
		err := u.recover(dir, dirs[dir])
		switch {
		case refusedByDisk(err):
			continue
		case err != nil:
			u.log.Error("a recording cannot be sealed", "recording", filepath.Base(dir), "err", err)
		default:
			u.log.Info("a recording was sealed once the disk let it", "recording", filepath.Base(dir))
		}
		u.mu.Lock()
		delete(u.dirs, dir)
		u.mu.Unlock()
		u.sealed()
	}
}

// refusedByDisk reports whether the same may succeed once somebody saw to the disk.
func refusedByDisk(err error) bool {
	return slices.ContainsFunc([]error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EIO}, func(why error) bool { return errors.Is(err, why) })
}
