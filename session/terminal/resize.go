package terminal

import (
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/session"
)

// resizes keeps the window size that the device must learn. Only the newest counts,
// so a client that resizes while the session is frozen queues up nothing.
type resizes struct {
	next   atomic.Pointer[session.WindowSize] // nil: the device knows
	waiter atomic.Bool                        // somebody waits to tell it
	turn   sync.Mutex                         // held while it is told
}

// NextSize keeps the size that the device learns before any input that comes after it. It
// waits for nothing.
func (r *Relay) NextSize(size session.WindowSize) { r.resizes.next.Store(&size) }

// SendSize tells the device the size that was kept, at once or after a thaw.
func (r *Relay) SendSize() {
	if r.cfg.Gate.Try(r.sendSize) == nil || r.resizes.waiter.Swap(true) {
		return
	}
	r.work.Go(func() {
		_ = guarded(func() error {
			return r.cfg.Gate.Pass(func() error {
				r.resizes.waiter.Store(false)
				return r.sendSize()
			})
		})
	})
}

// sendSize runs within the gate.
func (r *Relay) sendSize() error {
	if r.resizes.next.Load() == nil || r.pty == nil { // as for almost every keystroke
		return nil
	}
	r.resizes.turn.Lock()
	defer r.resizes.turn.Unlock()
	size := r.resizes.next.Load()
	if size == nil {
		return nil
	}
	defer r.resizes.next.CompareAndSwap(size, nil)
	return r.request("window-change", ssh.Marshal(windowChange{Cols: size.Cols, Rows: size.Rows}), func() error {
		return r.record(session.Resize, *size)
	})
}
