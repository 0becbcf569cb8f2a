package link

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrGone is what a question gets when its connection ends before the answer.
var ErrGone = errors.New("the connection ended before the answer came")

// errBusy is what a question gets when too many wait already.
var errBusy = errors.New("too many unanswered questions")

// calls matches answers to the questions of one side of a connection.
type calls struct {
	mu      sync.Mutex
	last    uint32
	waiting map[uint32]chan frame // nil once closed
}

func newCalls() *calls { return &calls{waiting: make(map[uint32]chan frame)} }

// begin gives a question its number, unless most wait for their answers.
func (c *calls) begin(most int) (uint32, chan frame, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.waiting == nil:
		return 0, nil, ErrGone
	case len(c.waiting) >= most:
		return 0, nil, errBusy
	}
	for c.last++; c.last == 0 || c.waiting[c.last] != nil; c.last++ {
	}
	answer := make(chan frame, 1)
	c.waiting[c.last] = answer
	return c.last, answer, nil
}

// answer hands f to who waits for it. An answer that nobody waits for any more is
// dropped.
func (c *calls) answer(f frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ch, ok := c.waiting[f.id]; ok {
		delete(c.waiting, f.id)
		ch <- f
	}
}

func (c *calls) forget(id uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, id)
}

// close ends all waiting; later questions fail with ErrGone.
func (c *calls) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ch := range c.waiting {
		close(ch)
	}
	c.waiting = nil
}

// ask sends a question and waits for its answer, at most answerTime.
func ask[T any](ctx context.Context, f *framer, c *calls, v verb, m T) (frame, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	most := maxCalls
	if q, ok := any(m).(question); ok && q.urgent() {
		most += maxUrgent
	}
	id, answer, err := c.begin(most)
	if err != nil {
		return frame{}, err
	}
	defer c.forget(id)
	if err := write(f, v, id, m); err != nil {
		return frame{}, err
	}
	select {
	case got, ok := <-answer:
		if !ok {
			return frame{}, ErrGone
		}
		return got, nil
	case <-ctx.Done():
		return frame{}, fmt.Errorf("no answer: %w", ctx.Err())
	}
}

// sleep waits for d; it reports false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
