package spool_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/sallyport/sallyport/agent/spool"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// Bounds of how long uploads give way to a transfer. They are the spool's own, said
// here once more: a change of either is meant.
const (
	mostTime     = 11 * time.Second // ten of giving way, and a second in which that is noticed
	mostSegments = 64
)

// moment is when a segment of one of a few recordings is closed, after a pause.
type moment struct {
	pause time.Duration
	of    int
}

// transfer closes segments as it is told, and watches what becomes of them.
type transfer struct {
	*site
	notary *notary
	ids    []string
	closed [][]time.Time // when, by recording

	mu    sync.Mutex
	sent  map[string]int // segments, by recording; they go up in order
	wrong string
}

func newTransfer(t *testing.T, recordingsHere int) *transfer {
	x := &transfer{site: newSite(t), notary: newNotary(t), closed: make([][]time.Time, recordingsHere), sent: map[string]int{}}
	for range recordingsHere {
		id := session.NewID().Recording()
		if err := os.Mkdir(filepath.Join(x.dir, id), 0o700); err != nil {
			t.Fatal(err)
		}
		golden(t, filepath.Join(x.dir, id, recordings.HeaderPart))
		x.ids = append(x.ids, id)
	}
	return x
}

func (x *transfer) Put(_ context.Context, p link.Put, body io.Reader) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if n, segment := recordings.Segment(p.Part); segment {
		if int(n) != x.sent[p.Recording] {
			x.wrong = fmt.Sprintf("segment %d goes up after %d others", n, x.sent[p.Recording])
		}
		x.sent[p.Recording]++
	}
	_, err := io.Copy(io.Discard, body)
	return err
}

// close closes the next segment, and has a head signed; the head waits for nothing.
func (x *transfer) close(sp *spool.Spool, of int) {
	n := uint32(len(x.closed[of]))
	x.closed[of] = append(x.closed[of], time.Now())
	if err := os.WriteFile(filepath.Join(x.dir, x.ids[of], recordings.SegmentPart(n)), segment(n), 0o600); err != nil {
		x.t.Fatal(err)
	}
	heads := len(x.notary.seen())
	sp.Head(x.head(x.t, x.ids[of], uint64(n+1)))
	sp.Kick()
	synctest.Wait() // no time passes
	if len(x.notary.seen()) != heads+1 {
		x.wrong = fmt.Sprintf("the head over segment %d waits", n)
	}
	x.check()
}

// check holds what waits against the bounds.
func (x *transfer) check() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for of, id := range x.ids {
		waiting := x.closed[of][x.sent[id]:]
		if len(waiting) > mostSegments {
			x.wrong = fmt.Sprintf("%d segments wait", len(waiting))
		}
		if len(waiting) > 0 && time.Since(waiting[0]) > mostTime {
			x.wrong = fmt.Sprintf("segment %d waits for %v", x.sent[id], time.Since(waiting[0]))
		}
	}
}

// up is how many segments of a recording went up.
func (x *transfer) up(of int) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.sent[x.ids[of]]
}

func (x *transfer) play(script []moment) {
	x.run(x, func(sp *spool.Spool) {
		synctest.Wait()
		for _, m := range script {
			for left := m.pause; left > 0; left -= time.Second { // looked at in between
				settle(min(left, time.Second))
				x.check()
			}
			x.close(sp, m.of)
		}
		settle(mostTime)
	}, spool.Countersigned(x.heads(x.notary, nil)))
	for of, id := range x.ids {
		if n := len(x.closed[of]); x.up(of) != n && x.wrong == "" {
			x.wrong = fmt.Sprintf("%d of %d segments of %s went up", x.up(of), n, id)
		}
	}
}

// Whatever moves and however long, uploads give way for a bounded time and a bounded
// number of segments, and heads never.
func TestUploadsGiveWayWithinBounds(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		pauses := []time.Duration{time.Millisecond, 20 * time.Millisecond, 110 * time.Millisecond, 130 * time.Millisecond, 900 * time.Millisecond, 1100 * time.Millisecond}
		var script []moment
		for range rapid.IntRange(1, 2).Draw(r, "bursts") {
			pause, of := rapid.SampledFrom(pauses).Draw(r, "pause"), rapid.IntRange(0, 1).Draw(r, "of")
			for range rapid.SampledFrom([]int{1, 7, 8, 30, 80}).Draw(r, "segments") {
				script = append(script, moment{pause, of})
			}
		}
		wrong := ""
		synctest.Test(t, func(t *testing.T) {
			x := newTransfer(t, 2)
			x.play(script)
			wrong = x.wrong
		})
		if wrong != "" {
			r.Fatal(wrong)
		}
	})
}

// While bulk moves, uploads do give way; the moment it pauses they go on.
func TestUploadsGiveWayToBulk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTransfer(t, 1)
		x.run(x, func(sp *spool.Spool) {
			synctest.Wait()
			for range 40 { // two seconds of bulk
				settle(50 * time.Millisecond)
				x.close(sp, 0)
			}
			if n := x.up(0); n > 10 {
				t.Errorf("%d segments went up while bulk moved", n)
			}
			settle(2 * time.Second)
			if n := x.up(0); n != 40 {
				t.Errorf("two seconds later %d of 40 are up", n)
			}
		}, spool.Countersigned(x.heads(x.notary, nil)))
		if x.wrong != "" {
			t.Error(x.wrong)
		}
	})
}
