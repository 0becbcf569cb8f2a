package engine

import (
	"errors"
	"sync"

	"github.com/sallyport/sallyport/session"
)

// tape is a recorder in memory.
type tape struct {
	mu     sync.Mutex
	events []session.Event
	closed []session.EndReason
}

func (r *tape) Record(e session.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.closed) > 0 {
		return errors.New("record after close")
	}
	if len(e.Data) > session.MaxEventData {
		return errors.New("too large")
	}
	e.Data = append([]byte(nil), e.Data...)
	r.events = append(r.events, e)
	return nil
}

func (r *tape) Close(reason session.EndReason) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = append(r.closed, reason)
	return nil
}
