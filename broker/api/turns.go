package api

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
)

// share is how many may do something at the same moment that costs the broker a lot, and
// how many may wait until they can: in all, of the people of one issuer, and of one person.
type share struct{ most, tenant, person, waiting int }

// work is what costs a lot, and the calls that are it. A call that is none has no share.
type work struct {
	share share
	calls []string
}

func works() []work {
	return []work{
		{share{4, 2, 1, 4}, []string{"get-recording-transcript", "verify-recording"}}, // which read a whole one
		{share{32, 8, 4, 16}, []string{"get-recording-replay", "get-recording-part", "get-recording-moment"}},
		{share{4, 2, 1, 16}, []string{"get-recording-picture", "get-recording-thumb"}}, // which draw a whole screen
		{share{64, 16, 4, 4}, []string{"get-recording-file", "get-recording-pack"}},
		{share{16, 4, 2, 8}, []string{"list-recordings", "list-audit-events", "list-audit-leaves", "prove-audit-event"}},
	}
}

// errBusy says that a caller, or those of their provider, wait for enough already.
var errBusy = &session.Error{Kind: session.Refused, Message: "You, or others of your organisation, have asked the broker for as much at once as it does for anybody.",
	Next: "Wait until some of it is done, and try again."}

// turns is who does such work now, and who waits. Whoever waits is let in before those whose
// colleagues are inside, so that nobody waits for another organisation's queue.
type turns struct {
	share

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

func newTurns(s share) *turns {
	return &turns{share: s, inside: map[session.Identity]int{}, of: map[string]int{}}
}

// take waits for a turn. Nobody waits in a queue that is full, or for longer than turnTime.
func (t *turns) take(ctx context.Context, who session.Identity) (leave func(), err error) {
	mine := &turn{who, make(chan struct{})}
	if !t.join(mine) {
		return nil, errBusy
	}
	late := time.NewTimer(turnTime)
	defer late.Stop()
	select {
	case <-mine.ready:
	case <-ctx.Done():
		err = ctx.Err()
	case <-late.C:
		err = errBusy
	}
	if err != nil && t.quit(mine) {
		return nil, err
	}
	return sync.OnceFunc(func() { t.leave(who) }), nil
}

// join puts somebody into the queue, and lets in who can come in.
func (t *turns) join(mine *turn) bool {
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
	if own >= t.share.waiting || tenant >= 4*t.share.waiting || len(t.waiting) >= maxTurns {
		return false
	}
	t.waiting = append(t.waiting, mine)
	t.admit()
	return true
}

// quit takes somebody out of the queue, unless their turn has come.
func (t *turns) quit(mine *turn) bool {
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

func (t *turns) leave(who session.Identity) {
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
func (t *turns) admit() {
	for {
		found := -1
		for i, w := range t.waiting {
			if t.total >= t.most || t.of[w.who.Iss] >= t.tenant || t.inside[w.who] >= t.person {
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

// turn waits for a call's turn where it has a share.
func (d *door) turn(r *http.Request, id string, who session.Identity) (leave func(), err error) {
	if t := d.turns[id]; t != nil {
		return t.take(r.Context(), who)
	}
	return func() {}, nil
}

// newWorks is the turns of calls, by their ids.
func newWorks() map[string]*turns {
	all := map[string]*turns{}
	for _, w := range works() {
		t := newTurns(w.share)
		for _, id := range w.calls {
			all[id] = t
		}
	}
	return all
}
