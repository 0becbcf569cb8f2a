package terminal

import (
	"sync"
)

// behind writes recorded output in order, a bounded number of chunks behind its
// owner, who calls buffer, write and finish from one goroutine.
type behind struct {
	to    func([]byte) error
	free  chan []byte // buffers that nobody uses
	made  int
	queue chan []byte // recorded, not yet written; nil until the first bulk
	work  sync.WaitGroup

	mu      sync.Mutex
	waiting int // chunks in the queue or being written
	err     error
}

func newBehind(to func([]byte) error) *behind {
	return &behind{to: to, free: make(chan []byte, behindMost+1)}
}

// buffer is one to read into; it waits while all of them are on their way.
func (b *behind) buffer() []byte {
	select {
	case buf := <-b.free:
		return buf
	default:
	}
	if b.made <= behindMost {
		b.made++
		return make([]byte, chunkSize)
	}
	return <-b.free
}

// write passes the first n bytes of a buffer on and takes the buffer back. It returns
// the error of this write or of an earlier one.
func (b *behind) write(buf []byte, n int) error {
	idle, err := b.state()
	switch {
	case err != nil:
		return err
	case n == 0 || idle && n < behindSmall:
		if n > 0 {
			err = b.to(buf[:n])
		}
		b.free <- buf
		return err
	}
	if b.queue == nil {
		b.queue = make(chan []byte, behindMost)
		b.work.Go(b.drain)
	}
	b.mu.Lock()
	b.waiting++
	b.mu.Unlock()
	b.queue <- buf[:n]
	return nil
}

func (b *behind) state() (idle bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiting == 0, b.err
}

// drain writes what is queued; after an error it only takes the buffers back.
func (b *behind) drain() {
	for buf := range b.queue {
		_, err := b.state()
		if err == nil {
			err = guarded(func() error { return b.to(buf) })
		}
		b.mu.Lock()
		b.waiting--
		b.err = err
		b.mu.Unlock()
		b.free <- buf[:chunkSize]
	}
}

// finish waits until all that was recorded has been written.
func (b *behind) finish() {
	if b.queue != nil {
		close(b.queue)
	}
	b.work.Wait()
}
