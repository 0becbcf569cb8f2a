package store

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// feed tells local waiters of one kind which ids changed. One reader per kind
// blocks on the stream, however many wait.
type feed struct { // guarded by Store.mu
	waiters   map[string]map[chan struct{}]bool // id → waiters
	followers map[*Follower]bool
	last      string        // everything after this is told to followers; empty while the stream is not read
	reads     chan struct{} // closed once it is
}

// feedOf is a kind's feed; it makes sure that the kind is read. s.mu is held.
func (s *Store) feedOf(kind string) *feed {
	f := s.feeds[kind]
	if f == nil {
		f = &feed{waiters: map[string]map[chan struct{}]bool{}, followers: map[*Follower]bool{}, reads: make(chan struct{})}
		s.feeds[kind] = f
		if !s.closed {
			s.readers(func(ctx context.Context) { s.read(ctx, kind, f) })
		}
	}
	return f
}

// Wait returns the document as soon as its version is not since, or when ctx is
// over, whichever is first; ctx being over is no error if the document can still
// be read. A document that is gone is os.ErrNotExist.
func (s *Store) Wait(ctx context.Context, kind, id string, since uint64) (Doc, error) {
	if err := named(kind, id); err != nil {
		return Doc{}, err
	}
	changed, leave := s.join(kind, id)
	defer leave()
	timer := time.NewTimer(lookAgain)
	defer timer.Stop()
	for {
		doc, err := s.Get(context.WithoutCancel(ctx), kind, id)
		if err != nil || doc.Version != since || ctx.Err() != nil {
			return doc, err
		}
		timer.Reset(lookAgain)
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer.C:
		case <-s.life:
			return doc, lost("wait for "+kind, errors.New("the store is closing"))
		}
	}
}

// join registers a waiter and makes sure that its kind is read.
func (s *Store) join(kind, id string) (changed chan struct{}, leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.feedOf(kind)
	changed = make(chan struct{}, 1)
	if f.waiters[id] == nil {
		f.waiters[id] = map[chan struct{}]bool{}
	}
	f.waiters[id][changed] = true
	return changed, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if delete(f.waiters[id], changed); len(f.waiters[id]) == 0 {
			delete(f.waiters, id)
		}
	}
}

// read follows a kind's stream until the store closes. After any trouble it wakes
// everybody: they look for themselves.
func (s *Store) read(ctx context.Context, kind string, f *feed) {
	stream, last := s.changesKey(kind), ""
	for try := 0; ctx.Err() == nil; {
		if last == "" {
			newest, err := s.blocks.XRevRangeN(ctx, stream, "+", "-", 1).Result()
			if err != nil {
				try = s.stumble(ctx, kind, try, err)
				continue
			}
			last = nowhere
			if len(newest) > 0 {
				last = newest[0].ID
			}
			s.spread(f, kind, nil, last, true)
			s.wake(f, "")
		}
		entries, gap, err := s.readOn(ctx, kind, last)
		if err != nil {
			last = ""
			s.spread(f, kind, nil, last, false)
			try = s.stumble(ctx, kind, try, err)
			continue
		}
		if try = 0; len(entries) == 0 {
			continue
		}
		last = entries[len(entries)-1].ID
		s.spread(f, kind, entries, last, gap)
		for _, m := range entries {
			id, _ := m.Values["id"].(string)
			s.wake(f, id)
		}
	}
}

// readOn waits up to two seconds for what comes after a place. A full batch means
// that we were slow: then gap tells whether entries were trimmed before we saw them.
func (s *Store) readOn(ctx context.Context, kind, last string) (entries []redis.XMessage, gap bool, err error) {
	reply, err := s.blocks.XRead(ctx, &redis.XReadArgs{
		Streams: []string{s.changesKey(kind), last}, Count: batch, Block: 2 * time.Second}).Result()
	if errors.Is(err, redis.Nil) {
		return nil, false, nil
	}
	if err != nil || len(reply) == 0 {
		return nil, false, err
	}
	if entries = reply[0].Messages; len(entries) == batch {
		whole, err := s.holds(ctx, kind, last)
		return entries, !whole, err
	}
	return entries, false, nil
}

// stumble logs the first failure of a row and backs off.
func (s *Store) stumble(ctx context.Context, kind string, try int, err error) int {
	if try == 0 && ctx.Err() == nil {
		s.log.Warn("the change stream broke off", "kind", kind, "err", err)
	}
	for range min(try+1, 50) {
		if pause(ctx, 19) != nil {
			break
		}
	}
	return try + 1
}

// wake tells the waiters of an id, or all of them for "".
func (s *Store) wake(f *feed, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for at, waiters := range f.waiters {
		if id != "" && at != id {
			continue
		}
		for w := range waiters {
			select {
			case w <- struct{}{}:
			default:
			}
		}
	}
}
