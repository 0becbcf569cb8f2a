package socket

import (
	"sync"

	"github.com/sallyport/sallyport/session/held"
)

// Queue holds chunks between goroutines, in two lines, of which the urgent one goes
// first. Nobody waits in it: who finds it full waits for what it returns.
type Queue struct {
	room int           // bytes, with chunkCost for each chunk
	More chan struct{} // one signal: something is there, or nothing more will be

	mu     sync.Mutex
	urgent [][]byte
	line   [][]byte
	size   int
	freed  chan struct{} // closed when there is room again or nothing is taken any more; nil while there is
	ended  bool
	share  *held.Share // of what waits beyond the room; nil: nobody counts
	beyond int         // that were taken of it
}

// NewQueue makes one with room for so many bytes.
func NewQueue(room int) *Queue { return &Queue{room: room, More: make(chan struct{}, 1)} }

// Push adds a chunk, which the queue keeps, if there is room, and otherwise returns what
// is closed when there is.
func (q *Queue) Push(b []byte) (full <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.freed == nil {
		q.append(&q.line, b)
	}
	return q.freed
}

// Add adds a chunk whether there is room or not, and returns how much waits then. An
// urgent one overtakes the others where they are many.
func (q *Queue) Add(b []byte, urgent bool) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	to := &q.line
	if urgent && q.size > inOrder {
		to = &q.urgent
	}
	q.append(to, b)
	return q.size
}

func (q *Queue) append(to *[][]byte, b []byte) {
	if q.ended {
		return
	}
	*to = append(*to, b)
	if q.size += len(b) + chunkCost; q.size >= q.room && q.freed == nil {
		q.freed = make(chan struct{})
	}
	q.weigh()
	Signal(q.More)
}

// Take returns the first chunk, nil when there is none, and over when none will come.
func (q *Queue) Take() (b []byte, over bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	from := &q.urgent
	if len(*from) == 0 {
		from = &q.line
	}
	if len(*from) == 0 {
		return nil, q.ended
	}
	b, (*from)[0] = (*from)[0], nil
	*from = (*from)[1:]
	if q.size -= len(b) + chunkCost; q.size < q.room {
		q.free()
	}
	q.weigh()
	return b, false
}

// Full is nil while there is room or nothing is taken any more, and otherwise closed when
// that is so again.
func (q *Queue) Full() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.freed
}

// End takes nothing any more; what waits stays, or is dropped.
func (q *Queue) End(drop bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended = true; drop {
		q.urgent, q.line, q.size = nil, nil, 0
	}
	q.weigh()
	q.free()
	Signal(q.More)
}

// Over reports whether nothing is taken any more.
func (q *Queue) Over() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ended
}

// weigh counts what waits beyond the room. It is called with mu held.
func (q *Queue) weigh() {
	if q.share == nil {
		return
	}
	beyond := max(0, q.size-q.room)
	if beyond > q.beyond {
		q.share.Take(beyond - q.beyond)
	} else {
		q.share.Give(q.beyond - beyond)
	}
	q.beyond = beyond
}

// crowded reports whether more waits here than the room, and more than the share in all.
func (q *Queue) crowded() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.beyond > 0 && q.share.Full()
}

// free is called with mu held.
func (q *Queue) free() {
	if q.freed != nil {
		close(q.freed)
		q.freed = nil
	}
}

// Signal leaves one signal in a channel that has room for one.
func Signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
