package store

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
)

// List reads the newest documents of a kind that have no time to live, newest
// first, at most limit (0: MaxList).
// Each document is consistent in itself; the list is not one moment.
func (s *Store) List(ctx context.Context, kind string, limit int) ([]Doc, error) {
	if err := named(kind); err != nil {
		return nil, err
	}
	return s.list(ctx, kind, "", s.everyKey(kind), limit)
}

// ListUnder is List for the documents that were put under a name.
func (s *Store) ListUnder(ctx context.Context, kind, under string, limit int) ([]Doc, error) {
	if err := named(kind, under); err != nil {
		return nil, err
	}
	return s.list(ctx, kind, under, s.underKey(kind, under), limit)
}

// PageUnder reads documents that were put under a name, the newest first, beginning
// with the from-th. next is where to go on; 0: there is no more. Pages shift by what is
// created meanwhile, so a reader may see a document twice and misses none that was there.
func (s *Store) PageUnder(ctx context.Context, kind, under string, from, limit int) (docs []Doc, next int, err error) {
	if err := named(kind, under); err != nil {
		return nil, 0, err
	}
	if limit <= 0 || limit > MaxList {
		limit = MaxList
	}
	ids, err := s.entries(ctx, kind, under, s.underKey(kind, under), from, from+limit-1)
	if err != nil {
		return nil, 0, err
	}
	docs, _, err = s.fetch(ctx, kind, ids)
	if err != nil {
		return nil, 0, err
	}
	if len(ids) == limit {
		next = from + limit
	}
	return docs, next, nil
}

func (s *Store) list(ctx context.Context, kind, under, index string, limit int) ([]Doc, error) {
	if limit <= 0 || limit > MaxList {
		limit = MaxList
	}
	var docs []Doc
	seen := map[string]bool{} // pages shift when something is created meanwhile
	for start := 0; len(docs) < limit; {
		ids, err := s.entries(ctx, kind, under, index, start, start+limit-1)
		if err != nil {
			return nil, err
		}
		found, gone, err := s.fetch(ctx, kind, ids)
		if err != nil {
			return nil, err
		}
		for _, d := range found {
			if !seen[d.ID] {
				seen[d.ID] = true
				docs = append(docs, d)
			}
		}
		for _, id := range gone {
			if err := forgetScript.Run(ctx, s.client, []string{s.docKey(kind, id), index}, id).Err(); err != nil {
				return nil, lost("tidy "+kind, err)
			}
		}
		if len(ids) < limit {
			break
		}
		start += len(ids) - len(gone)
	}
	return docs[:min(len(docs), limit)], nil
}

// entries reads ids of an index and checks that they are that index's.
func (s *Store) entries(ctx context.Context, kind, under, index string, start, stop int) ([]string, error) {
	reply, err := listScript.Run(ctx, s.client, []string{index}, kind, under, start, stop).StringSlice()
	if err != nil {
		return nil, lost("list "+kind, err)
	}
	if len(reply) < 2 || reply[0] != kind || reply[1] != under {
		return nil, mismatch(kind)
	}
	return reply[2:], nil
}

// fetch reads documents in one round trip and names those that are gone.
func (s *Store) fetch(ctx context.Context, kind string, ids []string) (found []Doc, gone []string, err error) {
	if len(ids) == 0 {
		return nil, nil, nil
	}
	pipe := s.client.Pipeline()
	replies := make([]*redis.SliceCmd, len(ids))
	for i, id := range ids {
		replies[i] = pipe.HMGet(ctx, s.docKey(kind, id), "kind", "id", "version", "body")
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, nil, lost("list "+kind, err)
	}
	for i, id := range ids {
		doc, err := readDoc(kind, id, replies[i].Val())
		switch {
		case errors.Is(err, os.ErrNotExist):
			gone = append(gone, id)
		case err != nil:
			return nil, nil, err
		default:
			found = append(found, doc)
		}
	}
	return found, gone, nil
}

// Count lets at most limit attempts of a key pass in a window that begins with
// the first; when one does not pass, wait says for how long. Counters live with
// the server's clock and are for rate limits only.
func (s *Store) Count(ctx context.Context, key string, window time.Duration, limit int) (ok bool, wait time.Duration, err error) {
	const kind = "count"
	if err := named(kind, key); err != nil {
		return false, 0, err
	}
	reply, err := countScript.Run(ctx, s.client, []string{s.docKey(kind, key)}, key, milliseconds(window), limit).Slice()
	if err != nil {
		return false, 0, lost("count an attempt", err)
	}
	if len(reply) != 3 || reply[0] != key {
		return false, 0, mismatch(kind)
	}
	passed, _ := reply[1].(int64)
	left, _ := reply[2].(int64)
	if passed == 1 {
		return true, 0, nil
	}
	return false, time.Duration(max(left, 1)) * time.Millisecond, nil
}
