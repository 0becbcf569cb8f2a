package socket

import (
	"context"
	"io"
	"net"
	"time"

	"github.com/sallyport/sallyport/session/attach"
	"github.com/sallyport/sallyport/session/held"
)

// Socket is one browser's connection. One goroutine reads it, one writes what waits in
// its queue, where notices overtake much output.
type Socket struct {
	nc    net.Conn
	Stall time.Duration
	out   *Queue
	Dead  <-chan struct{} // closed when the connection is cut
	cut   context.CancelFunc
}

// New makes one of a connection on which a browser proved itself. A browser that takes
// nothing for the time of a stall is given up.
func New(nc net.Conn, stall time.Duration) *Socket {
	ctx, cut := context.WithCancel(context.Background()) // a farewell outlives the link's context
	return &Socket{nc: nc, Stall: stall, out: NewQueue(roomy), Dead: ctx.Done(), cut: cut}
}

// Within has what waits here beyond its own room count among its session's, before anything
// is said.
func (s *Socket) Within(share *held.Share) *Socket {
	s.out.share = share
	return s
}

// Kill cuts the connection: its owner closes it, which may take a while.
func (s *Socket) Kill() {
	s.out.End(true)
	s.cut()
}

// Finish closes the connection when all that waits has been written. Nobody waits for
// room there any more.
func (s *Socket) Finish() { s.out.End(false) }

// Gone reports whether nothing more can be said here.
func (s *Socket) Gone() bool { return s.out.Over() }

// Full is nil while there is room or nothing can be said, and otherwise closed when that
// is so again.
func (s *Socket) Full() <-chan struct{} { return s.out.Full() }

// Send queues a frame in its turn. It does not wait; whoever sends much asks for room.
func (s *Socket) Send(t attach.Type, payload ...[]byte) {
	b, err := attach.Append(nil, attach.Agent, t, payload...)
	s.add(b, err, false)
}

// Document queues a frame with a document, before waiting output if that is much.
func (s *Socket) Document(t attach.Type, document any) {
	b, err := attach.AppendJSON(nil, attach.Agent, t, document)
	s.add(b, err, false)
}

// Notice is document for what must not wait behind much output.
func (s *Socket) Notice(n attach.Notice) {
	b, err := attach.AppendJSON(nil, attach.Agent, attach.TypeNotice, n)
	s.add(b, err, true)
}

// Pong answers a ping at once.
func (s *Socket) Pong(payload []byte) {
	b, err := attach.Append(nil, attach.Agent, attach.TypePing, payload)
	s.add(b, err, true)
}

// add queues a frame. A browser that cannot be told what it must know, or takes too
// little of it, is given up.
func (s *Socket) add(b []byte, err error, urgent bool) {
	if err != nil || s.out.Add(b, urgent) > most || s.out.crowded() {
		s.Kill()
	}
}

// Write sends what is queued until the socket is dead or finished. A browser that
// takes nothing for too long is given up.
func (s *Socket) Write() {
	defer s.Kill()
	for {
		b, over := s.out.Take()
		switch {
		case over:
			return
		case b == nil:
			<-s.out.More
		case s.put(b) != nil:
			return
		}
	}
}

// Close closes the connection once it is cut. What the browser still says is read for a
// moment: a connection that is closed with unread bytes loses what was said last.
func (s *Socket) Close() {
	<-s.Dead
	if half, ok := s.nc.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil && s.nc.SetReadDeadline(time.Now().Add(partingTime)) == nil {
		_, _ = io.Copy(io.Discard, s.nc)
	}
	_ = s.nc.Close()
}

// put writes one frame, within the stall time for each part of it.
func (s *Socket) put(b []byte) error {
	for len(b) > 0 {
		n := min(len(b), putMost)
		if err := s.nc.SetWriteDeadline(time.Now().Add(s.Stall)); err != nil {
			return err
		}
		if _, err := s.nc.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
