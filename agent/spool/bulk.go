package spool

import (
	"os"
	"path"
	"sync"
	"time"

	"github.com/sallyport/sallyport/recordings"
)

// bulk notices that much is being recorded.
type bulk struct {
	mu    sync.Mutex
	times [bulkParts]time.Time // when the last parts were closed; a ring
	at    int
	began time.Time // when it began to move; zero: it does not
}

// closed takes note of a part.
func (b *bulk) closed(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := b.times[b.at]
	b.times[b.at], b.at = now, (b.at+1)%bulkParts
	if now.Sub(first) > bulkTime {
		b.began = time.Time{}
	} else if b.began.IsZero() {
		b.began = now
	}
}

// moves reports whether uploads have to wait now.
func (b *bulk) moves(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := b.times[(b.at+bulkParts-1)%bulkParts]
	return !b.began.IsZero() && now.Sub(last) < bulkTime && now.Sub(b.began) < yieldTime
}

// left is how long they still wait at most; a long time when they do not.
func (b *bulk) left(now time.Time) time.Duration {
	if b.moves(now) {
		return bulkTime
	}
	return rescan
}

// yields reports whether new segments of a recording wait.
func (s *Spool) yields(root *os.Root, r *record) bool {
	if !s.bulk.moves(time.Now()) {
		return false
	}
	_, err := root.Stat(path.Join(r.id, recordings.SegmentPart(r.next+yieldSegments)))
	return err != nil
}
