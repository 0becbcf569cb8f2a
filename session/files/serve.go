package files

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/files/packet"
)

// Serve answers sftp on the engineer's channel until the client is done or either side
// is gone. The device is asked on a channel of its own. The caller closes the
// engineer's channel next, if nobody has; only then is nothing read from it any more.
func Serve(engineer io.ReadWriter, cfg Config) error {
	o, err := Dial(cfg)
	if err != nil {
		return err
	}
	defer o.Close()
	s := &server{o: o, to: engineer}
	done := make(chan struct{})
	defer close(done)
	var left atomic.Bool // the client did, and the device was not waited for
	requests, free := receive(engineer, done, func() {
		// What a client asked for before it went is still asked for, but nobody waits
		// long for a device that does not answer.
		select {
		case <-done:
		case <-time.After(lastAnswers):
			left.Store(true)
			o.Hangup()
		}
	})
	for {
		select {
		case r := <-requests:
			if errors.Is(r.err, io.EOF) {
				return nil
			}
			if r.err != nil {
				return r.err
			}
			if err := s.handle(r.body); err != nil {
				cfg.Refused("sftp", err.Error())
				return err
			}
			free <- r.body
		case <-o.Gone():
			if left.Load() {
				return nil
			}
			return session.Errorf(session.Unreachable, "The device ended the file transfer.").WithNext("Try again.")
		}
	}
}

// received is a client's packet, or why there are no more.
type received struct {
	body []byte
	err  error
}

// receive reads packets until there are no more, which gone is told, or nobody wants
// them: one is read while the one before is worked on. Who is done with a packet gives
// it back.
func receive(from io.Reader, done <-chan struct{}, gone func()) (<-chan received, chan<- []byte) {
	packets, free := make(chan received, 1), make(chan []byte, 2)
	free <- nil
	free <- nil
	go func() {
		for {
			var r received
			select {
			case buf := <-free:
				r.body, r.err = packet.Read(from, buf)
			case <-done:
				return
			}
			select {
			case packets <- r:
			case <-done:
				return
			}
			if r.err != nil {
				gone()
				return
			}
		}
	}()
	return packets, free
}

// server is one client's: it answers what it can itself, and keeps the order in which
// the client asked for things.
type server struct {
	o       *Operations
	greeted bool

	mu  sync.Mutex // one packet at a time; guards what follows
	to  io.Writer
	out []byte
}

// handle serves one packet. An error says that the client does not speak the protocol.
func (s *server) handle(body []byte) error {
	if !s.greeted {
		if v, err := packet.ParseInit(body); err != nil || v < packet.Version {
			return errors.New("the client does not speak sftp version 3")
		}
		s.greeted = true
		s.send(func(b []byte) []byte { return packet.AppendVersion(b, s.o.Extensions()) })
		return nil
	}
	id, r, err := packet.ParseRequest(body)
	if err != nil {
		return err
	}
	if r.Op == packet.Limits {
		s.reply(id, s.o.Limits().Reply())
		return nil
	}
	// What goes by path may concern any open file.
	if !r.Op.ByHandle() {
		s.o.Quiet()
	}
	s.o.Do(r, func(a packet.Response) { s.reply(id, a) })
	if !r.Op.ByHandle() {
		s.o.Quiet()
	}
	return nil
}

func (s *server) reply(id uint32, a packet.Response) {
	if a.Code == packet.ConnectionLost { // which servers must not say
		a.Code = packet.Failure
	}
	s.send(func(b []byte) []byte { return a.Append(b, id) })
}

// send tells the client something. One that is gone shows where it is read from.
func (s *server) send(write func([]byte) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out = write(s.out[:0])
	_, _ = s.to.Write(s.out)
}

// Extensions are what the device offers of those that are passed on, and Limits.
func (o *Operations) Extensions() []packet.Extension {
	all := []packet.Extension{packet.Limits.Extension()}
	for op := packet.PosixRename; op <= packet.CopyData; op++ {
		if o.far.offers[op] {
			all = append(all, op.Extension())
		}
	}
	return all
}

// Limits says how much may be asked for at once.
func (o *Operations) Limits() packet.Capacity {
	most := func(device uint64) uint64 {
		switch n := min(device, preferred); {
		case n == 0: // it does not say: what every server must take
			return eventContent
		case n > eventContent:
			return n / eventContent * eventContent
		default:
			return n
		}
	}
	handles := uint64(maxOpen)
	if n := o.far.capacity.Handles; n > 0 {
		handles = min(handles, n)
	}
	return packet.Capacity{Packet: packet.Most, Read: most(o.far.capacity.Read), Write: most(o.far.capacity.Write), Handles: handles}
}
