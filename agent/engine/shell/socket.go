package shell

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/session/attach"
)

// socket is one browser's connection. What goes to it waits in two lines; the urgent
// one is for notices that must not wait behind output. One goroutine reads it, one writes.
type socket struct {
	nc    net.Conn
	stall time.Duration
	more  chan struct{}   // one signal: something is to be written, or nothing more will be
	dead  chan struct{}   // closed when the connection is
	taken atomic.Bool     // another browser has its terminal
	files *fileOperations // the reader's; nil until it is asked about files

	mu     sync.Mutex // never held across I/O
	urgent [][]byte
	out    [][]byte
	size   int           // bytes that wait in both, with chunkCost for each chunk
	freed  chan struct{} // closed when there is room again; nil while there is
	last   bool          // nothing is added any more
	cut    bool          // dead is closed
}

func newSocket(nc net.Conn, stall time.Duration) *socket {
	return &socket{nc: nc, stall: stall, more: make(chan struct{}, 1), dead: make(chan struct{})}
}

// kill cuts the connection.
func (s *socket) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cutOff()
}

// cutOff is called with mu held.
func (s *socket) cutOff() {
	if s.cut {
		return
	}
	s.cut = true
	close(s.dead) // and its owner closes the connection, which may take a while
	s.letGo()
}

// finish closes the connection when all that waits has been written. Nobody waits for
// room there any more.
func (s *socket) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = true
	s.letGo()
	signal(s.more)
}

func (s *socket) letGo() {
	if s.freed != nil {
		close(s.freed)
		s.freed = nil
	}
}

func (s *socket) finishing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// gone reports whether nothing more can be said here.
func (s *socket) gone() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last || s.cut
}

// full is nil while there is room or nothing can be said, and otherwise closed when that
// is so again.
func (s *socket) full() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.freed
}

// send queues a frame in its turn. It does not wait; whoever sends much asks for room.
func (s *socket) send(t attach.Type, payload ...[]byte) {
	b, err := attach.Append(nil, attach.Agent, t, payload...)
	s.add(b, err, false)
}

// document queues a frame with a document, before waiting output if that is much.
func (s *socket) document(t attach.Type, document any) {
	b, err := attach.AppendJSON(nil, attach.Agent, t, document)
	s.add(b, err, false)
}

// notice is document for what must not wait behind much output.
func (s *socket) notice(n attach.Notice) {
	b, err := attach.AppendJSON(nil, attach.Agent, attach.TypeNotice, n)
	s.add(b, err, true)
}

// pong answers a ping at once.
func (s *socket) pong(payload []byte) {
	b, err := attach.Append(nil, attach.Agent, attach.TypePing, payload)
	s.add(b, err, true)
}

// add queues a frame. A browser that cannot be told what it must know, or takes too
// little of it, is given up.
func (s *socket) add(b []byte, err error, urgent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.last || s.cut:
		return
	case err != nil || s.size > socketMost:
		s.cutOff()
		return
	case urgent && s.size > inOrder:
		s.urgent = append(s.urgent, b)
	default:
		s.out = append(s.out, b)
	}
	if s.size += len(b) + chunkCost; s.size >= socketRoom && s.freed == nil {
		s.freed = make(chan struct{})
	}
	signal(s.more)
}

// next is what is written next; nil when nothing waits, and over when nothing will.
func (s *socket) next() (b []byte, over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := &s.urgent
	if len(*from) == 0 {
		from = &s.out
	}
	if len(*from) == 0 {
		return nil, s.last || s.cut
	}
	b, (*from)[0] = (*from)[0], nil
	*from = (*from)[1:]
	if s.size -= len(b) + chunkCost; s.size < socketRoom {
		s.letGo()
	}
	return b, false
}

// write sends what is queued until the socket is dead or finished. A browser that
// takes nothing for too long is given up.
func (s *socket) write() {
	defer s.kill()
	for {
		b, over := s.next()
		switch {
		case over:
			return
		case b != nil:
			if s.put(b) != nil {
				return
			}
		default:
			select {
			case <-s.dead:
				return
			case <-s.more:
			}
		}
	}
}

// put writes one frame, within the stall time for each part of it.
func (s *socket) put(b []byte) error {
	for len(b) > 0 {
		n := min(len(b), putMost)
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
