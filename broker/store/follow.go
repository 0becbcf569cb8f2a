package store

import (
	"context"
	"encoding/base64"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/sallyport/sallyport/session"
)

// Change names a document that was made, changed or deleted.
type Change struct {
	Kind string
	ID   string
	At   string // place of the newest change in its kind's stream; grows with time
}

// News is what changed since the last look. A document stands in it once, however
// often it changed.
type News struct {
	Changes []Change // the one that changed first comes first
	At      string   // opaque: from here Follow goes on
	Gap     bool     // changes before these may have been missed
}

// Follower hears of every change of its kinds. One goroutine uses it.
type Follower struct {
	store *Store
	kinds []string
	rang  chan struct{} // buffered 1: there is something

	// Guarded by Store.mu.
	at      map[string]string // by kind: what it was told or has caught up with
	pending map[Change]string // without At → At
	order   []Change          // of pending, without At
	gap     bool
	came    string // the place of what Next has given
}

// Follow hears of changes of kinds, from a place that News.At named or, for "", from
// now on. When changes since that place are not kept any more, or the place is none
// of this store's, the first news has a gap. Close it.
func (s *Store) Follow(ctx context.Context, after string, kinds ...string) (*Follower, error) {
	if len(kinds) == 0 || len(kinds) > maxKinds {
		return nil, session.Errorf(session.Internal, "store: follow %d kinds", len(kinds))
	}
	for _, kind := range kinds {
		if err := named(kind); err != nil {
			return nil, err
		}
	}
	f := &Follower{store: s, kinds: kinds, rang: make(chan struct{}, 1), at: map[string]string{}, pending: map[Change]string{}}
	places, ok := readPlaces(after, len(kinds))
	var starts []string
	for i, kind := range kinds {
		from, err := s.enlist(ctx, kind, f)
		starts = append(starts, from)
		if err == nil && after != "" && ok {
			err = f.catchUp(ctx, kind, places[i], from)
		}
		if err != nil {
			f.Close()
			return nil, err
		}
	}
	switch {
	case after == "":
		f.came = writePlaces(starts)
	case ok:
		f.came = after
	default:
		f.missed()
	}
	return f, nil
}

// Close ends the following.
func (f *Follower) Close() {
	f.store.mu.Lock()
	defer f.store.mu.Unlock()
	for _, kind := range f.kinds {
		if feed := f.store.feeds[kind]; feed != nil {
			delete(feed.followers, f)
		}
	}
}

// At is the place up to which Next has told everything; empty when there is none
// because Follow was given a wrong one.
func (f *Follower) At() string {
	f.store.mu.Lock()
	defer f.store.mu.Unlock()
	if len(f.order) == 0 && !f.gap {
		f.came = f.place()
	}
	return f.came
}

// Next waits until something changed, or ctx is over, which is its error.
func (f *Follower) Next(ctx context.Context) (News, error) {
	for {
		if n, ok := f.take(); ok {
			return n, nil
		}
		select {
		case <-f.rang:
		case <-ctx.Done():
			return News{}, ctx.Err()
		case <-f.store.life:
			return News{}, lost("follow changes", errors.New("the store is closing"))
		}
	}
}

func (f *Follower) take() (News, bool) {
	f.store.mu.Lock()
	defer f.store.mu.Unlock()
	if len(f.order) == 0 && !f.gap {
		return News{}, false
	}
	n := News{Changes: make([]Change, 0, len(f.order)), At: f.place(), Gap: f.gap}
	for _, c := range f.order {
		c.At = f.pending[c]
		n.Changes = append(n.Changes, c)
	}
	f.order, f.gap, f.came = nil, false, n.At
	clear(f.pending)
	return n, true
}

// enlist adds a follower to a kind's feed once that is read, and returns from where
// the feed tells it everything.
func (s *Store) enlist(ctx context.Context, kind string, f *Follower) (from string, err error) {
	for {
		s.mu.Lock()
		feed := s.feedOf(kind)
		from, reads := feed.last, feed.reads
		if from != "" {
			feed.followers[f] = true
			f.at[kind] = from
		}
		s.mu.Unlock()
		if from != "" {
			return from, nil
		}
		select {
		case <-reads:
		case <-ctx.Done():
			return "", lost("follow "+kind, ctx.Err())
		case <-s.life:
			return "", lost("follow "+kind, errors.New("the store is closing"))
		}
	}
}

// catchUp tells a follower what happened between a place and from.
func (f *Follower) catchUp(ctx context.Context, kind, place, from string) error {
	s := f.store
	entries, err := s.client.XRangeN(ctx, s.changesKey(kind), least(place), "+", tooMany).Result()
	if err != nil {
		return lost("follow "+kind, err)
	}
	whole := place == nowhere && len(entries) < kept
	if len(entries) > 0 && entries[0].ID == place {
		entries, whole = entries[1:], len(entries) < tooMany
	}
	if !whole {
		f.missed()
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	later := f.order // what the feed told meanwhile
	f.order = nil
	for _, m := range entries {
		if older(from, m.ID) {
			break // the feed tells it
		}
		f.tell(kind, m)
	}
	if !f.gap {
		f.order = append(f.order, later...)
	}
	return nil
}

// missed makes the next news a gap.
func (f *Follower) missed() {
	f.store.mu.Lock()
	defer f.store.mu.Unlock()
	f.lose()
}

// lose forgets what is pending: whoever has a gap looks at everything anew. Store.mu is held.
func (f *Follower) lose() {
	f.gap, f.order = true, nil
	clear(f.pending)
	f.ring()
}

func (f *Follower) ring() {
	select {
	case f.rang <- struct{}{}:
	default:
	}
}

// tell notes an entry. Store.mu is held.
func (f *Follower) tell(kind string, m redis.XMessage) {
	id, _ := m.Values["id"].(string)
	c := Change{Kind: kind, ID: id}
	if older(f.at[kind], m.ID) {
		f.at[kind] = m.ID
	}
	if _, waits := f.pending[c]; !waits {
		if len(f.order) >= maxPending {
			f.lose()
			return
		}
		f.order = append(f.order, c)
	}
	if older(f.pending[c], m.ID) {
		f.pending[c] = m.ID
	}
	f.ring()
}

// place writes down where the follower is. Store.mu is held.
func (f *Follower) place() string {
	all := make([]string, 0, len(f.kinds))
	for _, kind := range f.kinds {
		all = append(all, f.at[kind])
	}
	return writePlaces(all)
}

func writePlaces(all []string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strings.Join(all, " ")))
}

// nowhere is the place before a stream's first entry.
const nowhere = "0-0"

var placeShape = regexp.MustCompile(`^(0|[1-9][0-9]{0,17})-(0|[1-9][0-9]{0,17})$`)

// readPlaces reads what writePlaces wrote. Anybody may have written it.
func readPlaces(text string, n int) ([]string, bool) {
	if len(text) > 64*maxKinds {
		return nil, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, false
	}
	all := strings.Split(string(b), " ")
	wrong := slices.ContainsFunc(all, func(p string) bool { return !placeShape.MatchString(p) })
	return all, len(all) == n && !wrong
}

func least(place string) string {
	if place == nowhere {
		return "-"
	}
	return place
}

// older reports whether x was before y in a stream. Both are the server's: digits,
// a hyphen, digits.
func older(x, y string) bool {
	xt, xn, _ := strings.Cut(x, "-")
	yt, yn, _ := strings.Cut(y, "-")
	if xt != yt {
		return shorter(xt, yt)
	}
	return shorter(xn, yn)
}

// shorter compares two numbers without leading zeros.
func shorter(x, y string) bool {
	if len(x) != len(y) {
		return len(x) < len(y)
	}
	return x < y
}

// holds reports whether nothing after a place was trimmed from a kind's stream.
func (s *Store) holds(ctx context.Context, kind, place string) (bool, error) {
	if place == nowhere {
		n, err := s.client.XLen(ctx, s.changesKey(kind)).Result()
		return n < kept, err
	}
	at, err := s.client.XRangeN(ctx, s.changesKey(kind), place, place, 1).Result()
	return len(at) > 0, err
}

// spread tells a kind's followers what was read, and that the reader is at last now
// (or nowhere, for ""). With a gap they may have missed something before.
func (s *Store) spread(f *feed, kind string, entries []redis.XMessage, last string, gap bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case f.last == "" && last != "":
		close(f.reads)
	case f.last != "" && last == "":
		f.reads = make(chan struct{})
	}
	f.last = last
	for follower := range f.followers {
		if gap {
			follower.at[kind] = last
			follower.lose()
		}
		for _, m := range entries {
			follower.tell(kind, m)
		}
	}
}
