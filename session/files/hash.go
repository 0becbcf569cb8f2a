package files

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"maps"
	"slices"
	"sync"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/held"
)

// digest hashes what moves one way of a file: in the order of the file although chunks
// arrive in any, or where that cannot be - bytes were moved twice, some were left out,
// or a chunk came too far ahead - in the order in which they moved.
type digest struct {
	mu      sync.Mutex
	order   string           // session.AsAppended or AsMoved: there is no order of the file
	sum     hash.Hash        // in the order of the file
	started bool             // where that begins is known
	from    int64            // there
	next    int64            // first byte that is not in sum
	ahead   map[int64][]byte // chunks beyond next, by offset
	held    int              // bytes that these take, of the share
	share   *held.Share
	moved   hash.Hash // in the order in which they moved; nil while that is the same
	size    int64     // bytes that moved, however often
	reason  string    // there is no hash
}

// NewBudget is what the transfers of all sessions of an agent may hold.
func NewBudget() *held.Budget { return held.New(maxHeldSession, maxHeld) }

// NewAhead is what the downloads of all browsers of an agent may ask for before it is taken.
func NewAhead() *held.Budget { return held.New(maxAheadEach, maxAhead) }

func newDigest(share *held.Share) *digest {
	return &digest{sum: sha256.New(), ahead: map[int64][]byte{}, share: share}
}

// keep holds a chunk for the bytes before it.
func (d *digest) keep(offset int64, data []byte) {
	n := len(data) + chunkCost
	d.held += n
	d.share.Take(n)
	d.ahead[offset] = append([]byte(nil), data...)
}

// full reports whether more is held than may be.
func (d *digest) full() bool { return d.held > hashAhead || d.held > 0 && d.share.Full() }

// drop forgets what waits.
func (d *digest) drop() {
	d.share.Give(d.held)
	d.ahead, d.held = nil, 0
}

// unordered says that offsets mean nothing: the device puts each write at the end.
func (d *digest) unordered() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.giveUp(session.AsAppended)
}

// spoil gives the hash up for a reason; the first one stays.
func (d *digest) spoil(reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lose(reason)
}

// failed takes back what did not move after all.
func (d *digest) failed(n uint32, reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.size -= int64(n)
	d.lose(reason)
}

func (d *digest) lose(reason string) {
	if d.reason == "" {
		d.reason = reason
	}
	d.drop()
}

// giveUp leaves the order of the file.
func (d *digest) giveUp(order string) {
	d.part()
	d.order = order
	d.drop()
}

// part has the bytes that move from here on hashed in that order, too.
func (d *digest) part() {
	if d.moved != nil {
		return
	}
	if c, ok := d.sum.(hash.Cloner); ok {
		if same, err := c.Clone(); err == nil {
			d.moved = same
			return
		}
	}
	d.moved = sha256.New()
	d.lose("the bytes cannot be hashed in two orders")
}

// add takes a chunk that was moved. It copies what it must keep.
func (d *digest) add(offset int64, data []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.size += int64(len(data))
	if d.reason != "" || len(data) == 0 {
		return
	}
	if !d.started && offset == 0 {
		d.started = true
	}
	_, twice := d.ahead[offset]
	switch {
	case d.order != "":
	case d.started && offset == d.next:
	case d.started && offset < d.next || twice:
		d.giveUp(session.AsMoved)
	default:
		d.part()
		d.keep(offset, data)
		if d.full() {
			d.begin()
		}
		if d.full() {
			d.giveUp(session.AsMoved)
		}
	}
	if d.moved != nil {
		d.moved.Write(data)
	}
	if d.order == "" && d.started && offset == d.next {
		d.hash(data)
		d.catchUp()
	}
}

// begin starts where the first of the chunks does that wait, unless that is known.
func (d *digest) begin() {
	if d.started || len(d.ahead) == 0 {
		return
	}
	d.from = slices.Min(slices.Collect(maps.Keys(d.ahead)))
	d.started, d.next = true, d.from
	d.catchUp()
}

// catchUp takes in what waited for the bytes before it.
func (d *digest) catchUp() {
	for len(d.ahead) > 0 {
		chunk, ok := d.ahead[d.next]
		if !ok {
			break
		}
		delete(d.ahead, d.next)
		d.held -= len(chunk) + chunkCost
		d.share.Give(len(chunk) + chunkCost)
		d.hash(chunk)
	}
	for at := range d.ahead {
		if at < d.next {
			d.giveUp(session.AsMoved)
			return
		}
	}
}

func (d *digest) hash(data []byte) {
	d.sum.Write(data)
	d.next += int64(len(data))
}

// result says how much moved, and its hash or why there is none.
func (d *digest) result() session.Moved {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reason != "" {
		return session.Moved{Size: d.size, Reason: d.reason}
	}
	if d.order == "" {
		d.begin()
	}
	if d.order == "" && len(d.ahead) > 0 { // some bytes in between never came
		d.giveUp(session.AsMoved)
	}
	if d.order != "" {
		return session.Moved{Size: d.size, SHA256: hex.EncodeToString(d.moved.Sum(nil)), Order: d.order}
	}
	return session.Moved{Size: d.size, SHA256: hex.EncodeToString(d.sum.Sum(nil)), From: d.from}
}
