package files

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"sync"
)

// digest hashes content in file order although chunks arrive in any. What does not
// arrive exactly once each, or too far ahead, leaves a reason instead of a hash.
type digest struct {
	mu     sync.Mutex
	sum    hash.Hash
	next   int64            // first byte that has not been hashed
	ahead  map[int64][]byte // chunks beyond next, by offset
	held   int              // bytes in ahead
	moved  int64            // bytes that were moved, however often
	reason string
}

func newDigest() *digest { return &digest{sum: sha256.New(), ahead: map[int64][]byte{}} }

// spoil gives the hash up for a reason; the first one stays.
func (d *digest) spoil(reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.giveUp(reason)
}

// failed takes back what did not move after all.
func (d *digest) failed(n uint32, reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.moved -= int64(n)
	d.giveUp(reason)
}

func (d *digest) giveUp(reason string) {
	if d.reason == "" {
		d.reason = reason
	}
	d.ahead, d.held = nil, 0
}

// add takes a chunk that was moved. It copies what it must keep.
func (d *digest) add(offset int64, data []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.moved += int64(len(data))
	if d.reason != "" || len(data) == 0 {
		return
	}
	switch {
	case offset < d.next:
		d.giveUp("some bytes were moved more than once")
		return
	case offset > d.next:
		if _, twice := d.ahead[offset]; twice {
			d.giveUp("some bytes were moved more than once")
		} else if d.held+len(data) > hashAhead {
			d.giveUp("the bytes were not moved in order")
		} else {
			d.ahead[offset] = append([]byte(nil), data...)
			d.held += len(data)
		}
		return
	}
	d.hash(data)
	for len(d.ahead) > 0 {
		chunk, ok := d.ahead[d.next]
		if !ok {
			break
		}
		delete(d.ahead, d.next)
		d.held -= len(chunk)
		d.hash(chunk)
	}
	for at := range d.ahead {
		if at < d.next {
			d.giveUp("some bytes were moved more than once")
			return
		}
	}
}

func (d *digest) hash(data []byte) {
	d.sum.Write(data)
	d.next += int64(len(data))
}

// result is the size and the hash in hex, or why there is none.
func (d *digest) result() (size int64, sum, reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.reason != "":
		return d.moved, "", d.reason
	case len(d.ahead) > 0:
		return d.moved, "", "some bytes in between were not moved"
	}
	return d.moved, hex.EncodeToString(d.sum.Sum(nil)), ""
}
