package terminal

import (
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
)

// resizes keeps the window size that the device must learn. Only the newest counts,
// so a client that resizes while the session is frozen queues up nothing.
type resizes struct {
	mu     sync.Mutex
	next   *session.WindowSize // nil: the device knows
	waiter bool                // somebody waits to tell it
}

// resize tells the device the size, at once or after a thaw.
func (r *Relay) resize(size session.WindowSize) {
	s := &r.resizes
	s.mu.Lock()
	s.next = &size
	waits := s.waiter
	s.mu.Unlock()
	if waits || r.cfg.Gate.Try(r.sendSize) == nil {
		return
	}
	s.mu.Lock()
	waits = s.waiter || s.next == nil
	s.waiter = true
	s.mu.Unlock()
	if waits {
		return
	}
	r.work.Go(func() {
		_ = guarded(func() error { return r.cfg.Gate.Pass(r.sendSize) })
	})
}

// sendSize runs within the gate.
func (r *Relay) sendSize() error {
	s := &r.resizes
	s.mu.Lock()
	size := s.next
	s.next, s.waiter = nil, false
	s.mu.Unlock()
	if size == nil {
		return nil
	}
	return r.request("window-change", ssh.Marshal(windowChange{Cols: size.Cols, Rows: size.Rows}), func() error {
		return r.record(session.Resize, *size)
	})
}
