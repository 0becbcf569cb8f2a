package shell

import (
	"net"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session/attach"
)

// queue holds chunks between goroutines.
type queue struct {
	mu     sync.Mutex
	room   int // bytes, with chunkCost for each chunk
	chunks [][]byte
	size   int
	more   chan struct{} // one signal: something is there
	freed  chan struct{} // closed when there is room again; nil while there is
}

func newQueue(room int) *queue { return &queue{room: room, more: make(chan struct{}, 1)} }

// push adds a chunk, which the queue keeps, and returns how much waits now.
func (q *queue) push(b []byte) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.chunks = append(q.chunks, b)
	q.size += len(b) + chunkCost
	if q.size >= q.room && q.freed == nil {
		q.freed = make(chan struct{})
	}
	q.signal()
	return q.size
}

func (q *queue) signal() {
	select {
	case q.more <- struct{}{}:
	default:
	}
}

// full is nil while there is room, and otherwise closed when there is again.
func (q *queue) full() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.freed
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
	q.size -= len(b) + chunkCost
	if q.size < q.room && q.freed != nil {
		close(q.freed)
		q.freed = nil
	}
	return b
}

func (q *queue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.size
}

// socket is one browser's connection. What goes to it waits in two queues; the urgent
// one is for notices that must not wait behind output.
type socket struct {
	nc     net.Conn
	stall  time.Duration
	urgent *queue
	out    *queue
	dead   chan struct{} // closed when the connection is
	parted chan struct{} // closed when it has no seat any more
	last   chan struct{} // closed when nothing is added any more
	kills  sync.Once
	parts  sync.Once
	lasts  sync.Once
	desk   *desk // the reader's; nil until it is asked about files
}

func newSocket(nc net.Conn, stall time.Duration) *socket {
	return &socket{
		nc: nc, stall: stall, urgent: newQueue(socketRoom), out: newQueue(socketRoom),
		dead: make(chan struct{}), parted: make(chan struct{}), last: make(chan struct{}),
	}
}

func (s *socket) kill() {
	s.kills.Do(func() {
		close(s.dead)
		_ = s.nc.Close()
	})
}

// part lets go of everything that waits for room here.
func (s *socket) part() { s.parts.Do(func() { close(s.parted) }) }

// finish closes the connection when all that waits has been written.
func (s *socket) finish() { s.lasts.Do(func() { close(s.last) }) }

// gone reports whether nothing more can be said here.
func (s *socket) gone() bool {
	select {
	case <-s.dead:
		return true
	case <-s.last:
		return true
	default:
		return false
	}
}

// send queues a frame in its turn. It does not wait; whoever sends much asks for room.
func (s *socket) send(t attach.Type, payload ...[]byte) {
	b, err := attach.Append(nil, attach.Agent, t, payload...)
	if err != nil || s.gone() || s.out.push(b) > socketMost {
		s.drop(err)
	}
}

// document queues a frame with a document, before waiting output if that is much.
func (s *socket) document(t attach.Type, document any) {
	b, err := attach.AppendJSON(nil, attach.Agent, t, document)
	if err != nil || s.gone() {
		s.drop(err)
		return
	}
	to := s.out
	if to.waiting() > inOrder {
		to = s.urgent
	}
	if to.push(b) > socketMost {
		s.kill()
	}
}

// pong answers a ping at once.
func (s *socket) pong(payload []byte) {
	b, err := attach.Append(nil, attach.Agent, attach.TypePing, payload)
	if err != nil || s.urgent.push(b) > socketRoom {
		s.kill()
	}
}

// drop gives up a browser that cannot be told what it must know.
func (s *socket) drop(err error) {
	if err != nil || !s.gone() {
		s.kill()
	}
}

// write sends what is queued until the socket is dead or finished. A browser that
// takes nothing for too long is given up.
func (s *socket) write() {
	defer s.kill()
	for {
		b := s.urgent.take()
		if b == nil {
			b = s.out.take()
		}
		if b != nil {
			if s.put(b) != nil {
				return
			}
			continue
		}
		select {
		case <-s.dead:
			return
		case <-s.urgent.more:
		case <-s.out.more:
		case <-s.last:
			if s.urgent.waiting()+s.out.waiting() == 0 {
				return
			}
		}
	}
}

// put writes one frame, within the stall time for each part of it.
func (s *socket) put(b []byte) error {
	for len(b) > 0 {
		n := min(len(b), 16<<10)
		if err := s.nc.SetWriteDeadline(time.Now().Add(s.stall)); err != nil {
			return err
		}
		if _, err := s.nc.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
