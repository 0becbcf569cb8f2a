package store

import (
	"context"
	"errors"
	"iter"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sallyport/sallyport/session"
)

// Page reads documents that stand under any of names, the largest place first and each
// once, from behind a cursor; "" is the beginning. A document that stands under several
// of them counts where its place is smallest: so it is not missed by somebody who reads on
// while it comes under another. next is the cursor for what follows;
// "" when there is nothing more. A page may hold fewer documents than limit (0: MaxPage)
// and still not be the last. Each document is consistent in itself; the page is not one
// moment.
func (s *Store) Page(ctx context.Context, kind string, names []string, after string, limit int) (docs []Doc, next string, err error) {
	if err := named(kind, names...); err != nil || len(names) == 0 {
		return nil, "", err
	}
	if after != "" && !cursorShape.MatchString(after) {
		return nil, "", session.Errorf(session.Invalid, "That is no place in the list.").WithNext("Begin at its start.")
	}
	if limit <= 0 || limit > MaxPage {
		limit = MaxPage
	}
	entries, err := s.entries(ctx, kind, names, after, limit+1)
	if err != nil {
		return nil, "", err
	}
	if len(entries) > limit {
		entries = entries[:limit]
		next = entries[limit-1].member
	}
	docs, err = s.fetch(ctx, kind, names, entries)
	return docs, next, err
}

// All reads every document that stands under a name, as Page does.
func (s *Store) All(ctx context.Context, kind, name string) iter.Seq2[Doc, error] {
	return func(yield func(Doc, error) bool) {
		for after := ""; ; {
			docs, next, err := s.Page(ctx, kind, []string{name}, after, pageRead)
			if err != nil {
				yield(Doc{}, err)
				return
			}
			for _, d := range docs {
				if !yield(d, nil) {
					return
				}
			}
			if after = next; after == "" {
				return
			}
		}
	}
}

// Extent says how many documents stand under a name, and which has the smallest place.
// Some of them may be gone by now, if documents like these have a time to live.
func (s *Store) Extent(ctx context.Context, kind, name string) (n int64, last string, err error) {
	if err := named(kind, name); err != nil {
		return 0, "", err
	}
	reply, err := extentScript.Run(ctx, s.client, []string{s.underKey(kind, name)}, kind, name).Slice()
	if err != nil {
		return 0, "", lost("measure "+kind, err)
	}
	if len(reply) != 4 || reply[0] != kind || reply[1] != name {
		return 0, "", mismatch(kind)
	}
	n, ok := reply[2].(int64)
	member, _ := reply[3].(string)
	if !ok || n > 0 && len(member) < placeDigits {
		return 0, "", mismatch(kind)
	}
	if n > 0 {
		last = member[placeDigits:]
	}
	return n, last, nil
}

// cursorShape is a place and an id. Anybody may have written it.
var cursorShape = regexp.MustCompile(`^[0-9]{16}[^\x00-\x1f\x7f]{1,256}$`)

// entry is a member of an index: place and id.
type entry struct {
	member string
	name   string
}

func (e entry) id() string { return e.member[placeDigits:] }

// entries reads the members of indexes that come behind a cursor, in their common order.
func (s *Store) entries(ctx context.Context, kind string, names []string, after string, most int) ([]entry, error) {
	keys, args := []string{}, []any{kind, "+", most}
	if after != "" {
		args[1] = "(" + after
	}
	for _, name := range names {
		keys, args = append(keys, s.underKey(kind, name)), append(args, name)
	}
	reply, err := pageScript.Run(ctx, s.client, keys, args...).Slice()
	if err != nil {
		return nil, lost("list "+kind, err)
	}
	if len(reply) != len(names)+1 || reply[0] != kind {
		return nil, mismatch(kind)
	}
	var all []entry
	for i, name := range names {
		list, _ := reply[i+1].([]any)
		if len(list) == 0 || list[0] != name {
			return nil, mismatch(kind)
		}
		for _, m := range list[1:] {
			member, _ := m.(string)
			if len(member) <= placeDigits {
				return nil, mismatch(kind)
			}
			all = append(all, entry{member, name})
		}
	}
	slices.SortStableFunc(all, func(x, y entry) int { return strings.Compare(y.member, x.member) })
	all = slices.CompactFunc(all, func(x, y entry) bool { return x.member == y.member })
	return all[:min(len(all), most)], nil
}

// readAll reads documents in one round trip; one that is not there has no version.
func (s *Store) readAll(ctx context.Context, kind string, ids []string) ([]Doc, error) {
	docs, replies := make([]Doc, len(ids)), make([]*redis.SliceCmd, len(ids))
	if len(ids) == 0 {
		return nil, nil
	}
	pipe := s.client.Pipeline()
	for i, id := range ids {
		replies[i] = pipe.HMGet(ctx, s.docKey(kind, id), fields()...)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, lost("list "+kind, err)
	}
	for i, id := range ids {
		doc, err := readDoc(kind, id, replies[i].Val())
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		docs[i] = doc
	}
	return docs, nil
}

// fetch reads the documents of entries. A document is taken where its own facts say that
// it stands, and at its Cursor only. What is gone is dropped from its index.
func (s *Store) fetch(ctx context.Context, kind string, names []string, entries []entry) (found []Doc, err error) {
	ids := make([]string, 0, len(entries))
	for _, e := range entries {
		ids = append(ids, e.id())
	}
	docs, err := s.readAll(ctx, kind, ids)
	if err != nil {
		return nil, err
	}
	for i, e := range entries {
		if docs[i].stands(e.name) == e.member {
			if docs[i].Cursor(names) == e.member { // it comes only once
				found = append(found, docs[i])
			}
			continue
		}
		key := []string{s.docKey(kind, e.id()), s.underKey(kind, e.name)}
		if err := forgetScript.Run(ctx, s.client, key, e.member, e.member[:placeDigits]+e.name+"\n").Err(); err != nil {
			return nil, lost("tidy "+kind, err)
		}
	}
	return found, nil
}

// Cursor is where the document stands in a Page under names.
func (d Doc) Cursor(names []string) (cursor string) {
	for _, name := range names {
		if at := d.stands(name); at != "" && (cursor == "" || at < cursor) {
			cursor = at
		}
	}
	return cursor
}

// stands is the document's entry under a name; empty where it is not.
func (d Doc) stands(name string) string {
	for _, u := range d.Under {
		if u.Name == name {
			return place(u.Place) + d.ID
		}
	}
	return ""
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
