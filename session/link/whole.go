package link

import (
	"net"
	"sync"
)

const (
	// sshBuffer is the write buffer of x/crypto/ssh: a packet that does not fit comes as
	// one write of exactly this much and one of the rest.
	sshBuffer = 4 << 10
	// wholeBuffer holds any SSH packet (RFC 4253 section 6.1) that x/crypto/ssh writes.
	wholeBuffer = 64 << 10
)

// Whole is a connection for an SSH transport whose packets leave in one write each.
// x/crypto/ssh writes a large packet in two pieces; over TLS those are two records and
// two system calls, and at the other end two reads that each become a packet again.
func Whole(c net.Conn) net.Conn {
	w := &whole{Conn: c, held: make([]byte, 0, wholeBuffer), kick: make(chan struct{}, 1), done: make(chan struct{})}
	go w.flush() // ends with Close, which whoever runs the transport calls
	return w
}

type whole struct {
	net.Conn
	mu   sync.Mutex
	held []byte // the first piece of a packet whose rest is still to come
	err  error  // of a flush that nobody waited for
	kick chan struct{}
	done chan struct{}
	once sync.Once
}

// Write keeps what may be the first piece of a packet until the rest comes, which is at
// once; a packet that ends with its first piece is sent by the flusher.
func (w *whole) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.err != nil:
		return 0, w.err
	case len(w.held) == 0 && len(p) != sshBuffer:
		return w.Conn.Write(p)
	case len(w.held)+len(p) > wholeBuffer:
		if err := w.send(); err != nil {
			return 0, err
		}
		return w.Conn.Write(p)
	}
	first := len(w.held) == 0
	w.held = append(w.held, p...)
	if !first {
		return len(p), w.send()
	}
	select {
	case w.kick <- struct{}{}:
	default:
	}
	return len(p), nil
}

// send writes what is held; the caller holds the lock.
func (w *whole) send() error {
	_, err := w.Conn.Write(w.held)
	w.held = w.held[:0]
	if err != nil {
		w.err = err
	}
	return err
}

func (w *whole) flush() {
	for {
		select {
		case <-w.done:
			return
		case <-w.kick:
		}
		w.mu.Lock()
		if len(w.held) > 0 && w.err == nil {
			_ = w.send() // the next Write says it
		}
		w.mu.Unlock()
	}
}

// Close drops what is held: a packet of which only a piece was written says nothing.
func (w *whole) Close() error {
	w.once.Do(func() { close(w.done) })
	return w.Conn.Close()
}
