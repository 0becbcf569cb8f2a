package shell

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/session/attach"
)

// socket is one browser's connection. One goroutine reads it, one writes what waits in
// its queue, where notices overtake much output.
type socket struct {
	nc    net.Conn
	stall time.Duration
	out   *queue
	dead  <-chan struct{} // closed when the connection is cut
	cut   context.CancelFunc
	taken atomic.Bool     // another browser has its terminal
	files *fileOperations // the reader's; nil until it is asked about files
}

func newSocket(nc net.Conn, stall time.Duration) *socket {
	ctx, cut := context.WithCancel(context.Background()) // a farewell outlives the link's context
	return &socket{nc: nc, stall: stall, out: newQueue(socketRoom), dead: ctx.Done(), cut: cut}
}

// kill cuts the connection: its owner closes it, which may take a while.
func (s *socket) kill() {
	s.out.end(true)
	s.cut()
}

// finish closes the connection when all that waits has been written. Nobody waits for
// room there any more.
func (s *socket) finish() { s.out.end(false) }

// gone reports whether nothing more can be said here.
func (s *socket) gone() bool { return s.out.over() }

// full is nil while there is room or nothing can be said, and otherwise closed when that
// is so again.
func (s *socket) full() <-chan struct{} { return s.out.full() }

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
	if err != nil || s.out.add(b, urgent) > socketMost {
		s.kill()
	}
}

// write sends what is queued until the socket is dead or finished. A browser that
// takes nothing for too long is given up.
func (s *socket) write() {
	defer s.kill()
	for {
		b, over := s.out.take()
		switch {
		case over:
			return
		case b == nil:
			<-s.out.more
		case s.put(b) != nil:
			return
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
