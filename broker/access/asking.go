package access

import (
	"context"
	"sync"

	"github.com/sallyport/sallyport/broker/turns"
	"github.com/sallyport/sallyport/session"
)

// asking is who has an agent look at something, by agent. An agent works on few questions at
// a time and may ask an identity provider for each: of what it does for engineers one vendor
// has a half, and what its hospital decides has turns of its own. What narrows takes none.
type asking struct {
	mu sync.Mutex
	of map[desk]*queue
}

// desk is where one agent looks at what engineers ask, or at what its hospital decides.
type desk struct {
	site, agent string
	decides     bool
}

// queue is the turns of a desk, for as long as anybody is there.
type queue struct {
	*turns.Turns
	users int
}

// turn waits until an agent can look at one more of what somebody asks or, with decides,
// decides. Until leave is called the agent is taken to look at it.
func (a *asking) turn(ctx context.Context, who session.Identity, d desk) (leave func(), err error) {
	q := a.enter(d)
	done, err := q.Take(ctx, who)
	if err != nil {
		a.exit(d)
		return nil, err
	}
	return sync.OnceFunc(func() {
		done()
		a.exit(d)
	}), nil
}

func (a *asking) enter(d desk) *queue {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := a.of[d]
	if q == nil {
		share := turns.Share{Most: maxAsked, Tenant: maxAsked / 2, Person: askedBy, Waiting: askersWait, Wait: askingTime}
		if d.decides {
			share.Most, share.Tenant = maxDecided, maxDecided
		}
		q = &queue{Turns: turns.New(share, "The agent at "+d.site+" still looks at as much as it does at once for you, or for others of your organisation.",
			"Nothing was asked of it. Try again in a moment.")}
		a.of[d] = q
	}
	q.users++
	return q
}

func (a *asking) exit(d desk) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if q := a.of[d]; q.users > 1 {
		q.users--
	} else {
		delete(a.of, d)
	}
}
