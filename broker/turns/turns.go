// Package turns lets people take turns at what only so many may do at a moment: calls that
// cost the broker a lot, and questions that keep an agent busy. What one person and one
// organisation may have of it at once, and may wait for, is a share.
package turns

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
)

// Share is how many may do something at the same moment: in all, of the people of one
// issuer, and of one person; and how many of one person may wait until they can, for how long.
type Share struct {
	Most, Tenant, Person, Waiting int
	Wait                          time.Duration
}

// ErrBusy is in the chain of what somebody is told whose turn does not come: they, or those of
// their issuer, wait for as much as anybody may, or have waited for too long.
var ErrBusy = errors.New("no turn")

// Turns is who does something now, and who waits. Whoever waits is let in before those whose
// colleagues are inside, so that nobody waits for another organisation's queue.
type Turns struct {
	share Share
	busy  error

	mu      sync.Mutex // guards what follows
	inside  map[session.Identity]int
	of      map[string]int // by issuer
	total   int
	waiting []*turn // who came first comes first
}

// turn is somebody who waits for theirs. ready is closed when it has come.
type turn struct {
	who   session.Identity
	ready chan struct{}
}

// New has nobody inside. Whoever gets no turn is told message and next.
func New(s Share, message, next string) *Turns {
	return &Turns{share: s, inside: map[session.Identity]int{}, of: map[string]int{},
		busy: &session.Error{Kind: session.Refused, Message: message, Next: next, Err: ErrBusy}}
}

// Take waits for a turn, until leave is called. Nobody waits in a queue that is full, or for
// longer than their share says.
func (t *Turns) Take(ctx context.Context, who session.Identity) (leave func(), err error) {
	mine := &turn{who, make(chan struct{})}
	if !t.join(mine) {
		return nil, t.busy
	}
	late := time.NewTimer(t.share.Wait)
	defer late.Stop()
	select {
	case <-mine.ready:
	case <-ctx.Done():
		err = ctx.Err()
	case <-late.C:
		err = t.busy
	}
	if err != nil && t.quit(mine) {
		return nil, err
	}
	return sync.OnceFunc(func() { t.leave(who) }), nil
}

// join puts somebody into the queue, and lets in who can come in.
func (t *Turns) join(mine *turn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	own, tenant := 0, 0
	for _, w := range t.waiting {
		if w.who == mine.who {
			own++
		}
		if w.who.Iss == mine.who.Iss {
			tenant++
		}
	}
	if own >= t.share.Waiting || tenant >= ofTenant*t.share.Waiting || len(t.waiting) >= maxWaiting {
		return false
	}
	t.waiting = append(t.waiting, mine)
	t.admit()
	return true
}

// quit takes somebody out of the queue, unless their turn has come.
func (t *Turns) quit(mine *turn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, w := range t.waiting {
		if w == mine {
			t.waiting = append(t.waiting[:i:i], t.waiting[i+1:]...)
			return true
		}
	}
	return false
}

func (t *Turns) leave(who session.Identity) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.total--
	if t.inside[who]--; t.inside[who] == 0 {
		delete(t.inside, who)
	}
	if t.of[who.Iss]--; t.of[who.Iss] == 0 {
		delete(t.of, who.Iss)
	}
	t.admit()
}

// admit lets in whoever can come in, of those with the fewest colleagues inside. t.mu is held.
func (t *Turns) admit() {
	for {
		found := -1
		for i, w := range t.waiting {
			if t.total >= t.share.Most || t.of[w.who.Iss] >= t.share.Tenant || t.inside[w.who] >= t.share.Person {
				continue
			}
			if found < 0 || t.of[w.who.Iss] < t.of[t.waiting[found].who.Iss] {
				found = i
			}
		}
		if found < 0 {
			return
		}
		w := t.waiting[found]
		t.waiting = append(t.waiting[:found:found], t.waiting[found+1:]...)
		t.total++
		t.inside[w.who]++
		t.of[w.who.Iss]++
		close(w.ready)
	}
}
