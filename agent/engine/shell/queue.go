package shell

import "sync"

// queue holds chunks between goroutines, up to a number of bytes.
type queue struct {
	room int           // bytes, with chunkCost for each chunk
	more chan struct{} // one signal: something is there

	mu     sync.Mutex
	chunks [][]byte
	size   int
	freed  chan struct{} // closed when there is room again; nil while there is
}

func newQueue(room int) *queue { return &queue{room: room, more: make(chan struct{}, 1)} }

// push adds a chunk, which the queue keeps, if there is room, and otherwise returns what
// is closed when there is.
func (q *queue) push(b []byte) (full <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.freed != nil {
		return q.freed
	}
	q.chunks = append(q.chunks, b)
	if q.size += len(b) + chunkCost; q.size >= q.room {
		q.freed = make(chan struct{})
	}
	signal(q.more)
	return nil
}

// take returns the first chunk, nil when there is none.
func (q *queue) take() []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.chunks) == 0 {
		return nil
	}
	b := q.chunks[0]
	q.chunks[0] = nil
	q.chunks = q.chunks[1:]
	if q.size -= len(b) + chunkCost; q.size < q.room && q.freed != nil {
		close(q.freed)
		q.freed = nil
	}
	return b
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
