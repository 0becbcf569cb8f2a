package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/session"
)

// Doc is a document as it stood when it was read.
type Doc struct {
	Kind    string
	ID      string
	Version uint64 // grows with every change, over all documents of the kind
	Body    []byte
	Under   []Under // where it is listed, with its place there
}

// Under is a name under which a document is listed, and its place: the largest comes
// first. 0 is a place before all that have come under the name so far, and it keeps
// that place while it stays.
type Under struct {
	Name  string
	Place uint64 // at most MaxPlace
}

// Names are places of their own accord under each name.
func Names(all ...string) []Under {
	under := make([]Under, 0, len(all))
	for _, name := range all {
		under = append(under, Under{Name: name})
	}
	return under
}

// Create makes a document that did not exist, or says ErrExists. It is listed under
// each of the names given.
// A ttl of 0 is none; what should have ended already is not made.
func (s *Store) Create(ctx context.Context, kind, id string, body []byte, ttl time.Duration, under ...string) error {
	if ttl < 0 {
		return session.Errorf(session.Internal, "store: a %s that ends before it begins", kind)
	}
	ok, err := s.save(ctx, write{old: Doc{Kind: kind, ID: id}, body: body, under: Names(under...), ttl: ttl})
	if err == nil && !ok {
		err = fmt.Errorf("create %s %s: %w", kind, id, ErrExists)
	}
	return err
}

// Get reads a document.
func (s *Store) Get(ctx context.Context, kind, id string) (Doc, error) {
	if err := named(kind, id); err != nil {
		return Doc{}, err
	}
	reply, err := s.client.HMGet(ctx, s.docKey(kind, id), fields()...).Result()
	if err != nil {
		return Doc{}, lost("get "+kind, err)
	}
	return readDoc(kind, id, reply)
}

// Update replaces a document by what edit makes of it; where it is listed stays. edit
// may run several times and must be pure; its error ends the update and is returned as
// it is. An edit that returns the bytes it was given changes nothing.
func (s *Store) Update(ctx context.Context, kind, id string, edit func(old []byte) ([]byte, error)) error {
	return s.change(ctx, kind, id, func(old Doc) (bool, error) {
		if old.Version == 0 {
			return false, absent(kind, id)
		}
		body, err := edit(slices.Clone(old.Body))
		if err != nil {
			return false, err
		}
		return s.save(ctx, write{old: old, body: body, under: old.Under})
	})
}

// Put is Update that also says under which names the document is listed from now on,
// and that makes a document which is not there: old is nil then.
func (s *Store) Put(ctx context.Context, kind, id string, edit func(old []byte) (body []byte, under []Under, err error)) error {
	return s.change(ctx, kind, id, func(old Doc) (bool, error) {
		body, under, err := edit(slices.Clone(old.Body))
		if err != nil {
			return false, err
		}
		return s.save(ctx, write{old: old, body: body, under: under})
	})
}

// Expire says how long a document lives from now on; a ttl of 0 is for ever. It is for
// documents that stand under no name: an index ends with what it was made of.
func (s *Store) Expire(ctx context.Context, kind, id string, ttl time.Duration) error {
	if ttl <= 0 {
		ttl = forever
	}
	return s.change(ctx, kind, id, func(old Doc) (bool, error) {
		switch {
		case old.Version == 0:
			return false, absent(kind, id)
		case len(old.Under) > 0:
			return false, session.Errorf(session.Internal, "store: a new end for a %s that is listed", kind)
		}
		return s.save(ctx, write{old: old, body: old.Body, ttl: ttl, always: true})
	})
}

// Whole is what a document and its parts become. A part is a document of the same kind
// that is only ever changed together with the one it belongs to.
type Whole struct {
	Body []byte
	Put  []Part
	Drop []Part // by id alone; one that is not there is fine
}

// Part is one of them, listed under the names given.
type Part struct {
	ID    string
	Body  []byte
	Under []string
}

// UpdateWhole is Update of a document together with its parts, in one step: nobody ever
// sees some of it.
func (s *Store) UpdateWhole(ctx context.Context, kind, id string, edit func(old []byte) (Whole, error)) error {
	return s.change(ctx, kind, id, func(old Doc) (bool, error) {
		if old.Version == 0 {
			return false, absent(kind, id)
		}
		whole, err := edit(slices.Clone(old.Body))
		if err != nil {
			return false, err
		}
		var all []write
		for _, p := range whole.Put {
			all = append(all, write{old: Doc{Kind: kind, ID: p.ID}, body: p.Body, under: Names(p.Under...)})
		}
		for _, part := range whole.Drop {
			all = append(all, write{old: Doc{Kind: kind, ID: part.ID}, drop: true})
		}
		if all, err = s.news(ctx, kind, all); err != nil {
			return false, err
		}
		itself := write{old: old, body: whole.Body, under: old.Under, always: len(all) > 0}
		return s.save(ctx, append(all, itself)...)
	})
}

// news are the parts that are not what they shall be.
func (s *Store) news(ctx context.Context, kind string, parts []write) (news []write, err error) {
	ids := make([]string, 0, len(parts))
	for _, p := range parts {
		ids = append(ids, p.old.ID)
	}
	if err := named(kind, ids...); err != nil {
		return nil, err
	}
	docs, err := s.readAll(ctx, kind, ids)
	if err != nil {
		return nil, err
	}
	for i, p := range parts {
		if docs[i].Version > 0 {
			p.old = docs[i]
		}
		if p.drop && docs[i].Version > 0 || !p.drop && !p.idle() {
			news = append(news, p)
		}
	}
	return news, nil
}

// change tries to change a document until nobody was quicker.
func (s *Store) change(ctx context.Context, kind, id string, try func(old Doc) (ok bool, err error)) error {
	for n := range maxTries {
		old, err := s.Get(ctx, kind, id)
		if errors.Is(err, os.ErrNotExist) {
			old, err = Doc{Kind: kind, ID: id}, nil
		}
		if err != nil {
			return err
		}
		if ok, err := try(old); err != nil || ok {
			return err
		}
		if err := pause(ctx, n); err != nil {
			return lost("update "+kind, err)
		}
	}
	return lost("update "+kind, fmt.Errorf("others were quicker %d times", maxTries))
}

// write is what becomes of a document.
type write struct {
	old    Doc // without a version: there is none yet
	body   []byte
	under  []Under
	ttl    time.Duration // 0: as it was
	drop   bool
	always bool // also when nothing changes
}

// idle reports whether nothing changes.
func (w write) idle() bool {
	_, moves := moved(w.old.Under, w.under)
	return w.old.Version > 0 && !w.drop && !w.always && len(moves) == 0 && string(w.body) == string(w.old.Body)
}

// check bounds what is written.
func (w write) check() error {
	names := make([]string, 0, len(w.under)+1)
	for _, u := range w.under {
		names = append(names, u.Name)
		if u.Place > MaxPlace {
			return session.Errorf(session.Internal, "store: the place %d in a list", u.Place)
		}
	}
	if len(w.body) > MaxBody || len(w.under) > MaxUnder {
		return session.Errorf(session.Internal, "store: a %s of %d bytes under %d names", w.old.Kind, len(w.body), len(w.under))
	}
	return named(w.old.Kind, append(names, w.old.ID)...)
}

// save writes documents and moves them in the indexes, in one step. ok is false when the
// store has another of them by now. The last one names the reply.
func (s *Store) save(ctx context.Context, all ...write) (ok bool, err error) {
	d := all[len(all)-1].old
	keys, args := []string{s.clockKey(d.Kind), s.changesKey(d.Kind)}, []any{d.Kind, d.ID}
	for _, w := range all {
		if err := w.check(); err != nil {
			return false, err
		}
		if w.idle() {
			continue
		}
		what, version := "put", ""
		if w.drop {
			what, w.under = "drop", nil
		}
		if w.old.Version > 0 {
			version = place(w.old.Version)
		}
		stay, moves := moved(w.old.Under, w.under)
		keys = append(keys, s.docKey(d.Kind, w.old.ID))
		args = append(args, w.old.ID, version, what, w.body, milliseconds(w.ttl), stay, len(moves))
		for _, m := range moves {
			keys, args = append(keys, s.underKey(d.Kind, m.name)), append(args, m.name, m.was, m.now)
		}
	}
	if len(args) == 2 {
		return true, nil
	}
	reply, err := saveScript.Run(ctx, s.client, keys, args...).Slice()
	if err != nil {
		return false, lost("change "+d.Kind, err)
	}
	if len(reply) != 3 || reply[0] != d.Kind || reply[1] != d.ID {
		return false, mismatch(d.Kind)
	}
	return reply[2] == int64(1), nil
}

// move is what changes of a document in one index.
type move struct{ name, was, now string }

// moved compares where a document stood with where it shall stand.
func moved(old, now []Under) (stay string, moves []move) {
	for _, o := range old {
		i := slices.IndexFunc(now, func(n Under) bool { return n.Name == o.Name })
		if i >= 0 && (now[i].Place == 0 || now[i].Place == o.Place) {
			stay += place(o.Place) + o.Name + "\n"
		} else if i < 0 {
			moves = append(moves, move{o.Name, place(o.Place), ""})
		}
	}
	for i, n := range now {
		if slices.IndexFunc(now, func(m Under) bool { return m.Name == n.Name }) != i {
			continue
		}
		was, at := "", "now"
		if n.Place > 0 {
			at = place(n.Place)
		}
		if j := slices.IndexFunc(old, func(o Under) bool { return o.Name == n.Name }); j >= 0 {
			if n.Place == 0 || n.Place == old[j].Place {
				continue
			}
			was = place(old[j].Place)
		}
		moves = append(moves, move{n.Name, was, at})
	}
	return stay, moves
}

// place writes a place, or a version, so that texts order as numbers do.
func place(n uint64) string { return fmt.Sprintf("%0*d", placeDigits, n) }

const placeDigits = 16 // of MaxPlace

// Take reads a document and deletes it in one step: of any number of callers one gets it.
func (s *Store) Take(ctx context.Context, kind, id string) (taken Doc, err error) {
	err = s.change(ctx, kind, id, func(old Doc) (bool, error) {
		if taken = old; old.Version == 0 {
			return false, absent(kind, id)
		}
		return s.save(ctx, write{old: old, drop: true})
	})
	if err != nil {
		return Doc{}, err
	}
	return taken, nil
}

// Delete removes a document. One that is not there is fine.
func (s *Store) Delete(ctx context.Context, kind, id string) error {
	_, err := s.Take(ctx, kind, id)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// fields are those of a document's hash, in the order in which they are read.
func fields() []string { return []string{"kind", "id", "version", "body", "under"} }

// readDoc reads the fields and refuses a reply that is not the document asked for.
func readDoc(kind, id string, reply []any) (Doc, error) {
	if len(reply) != len(fields()) {
		return Doc{}, mismatch(kind)
	}
	if reply[2] == nil && reply[3] == nil {
		return Doc{}, absent(kind, id)
	}
	text, _ := reply[2].(string)
	body, ok := reply[3].(string)
	version, err := strconv.ParseUint(text, 10, 64)
	if reply[0] != kind || reply[1] != id || !ok || err != nil {
		return Doc{}, mismatch(kind)
	}
	d := Doc{Kind: kind, ID: id, Version: version, Body: []byte(body)}
	lines, _ := reply[4].(string)
	for line := range strings.Lines(lines) {
		if len(line) < placeDigits {
			return Doc{}, mismatch(kind)
		}
		at, err := strconv.ParseUint(line[:placeDigits], 10, 64)
		if err != nil {
			return Doc{}, mismatch(kind)
		}
		d.Under = append(d.Under, Under{Name: strings.TrimSuffix(line[placeDigits:], "\n"), Place: at})
	}
	return d, nil
}

// pause waits a little longer with each try, at random, so that rivals part.
func pause(ctx context.Context, try int) error {
	t := time.NewTimer(time.Duration(rand.Int64N(int64(min(try+1, 20)) * int64(time.Millisecond))))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func absent(kind, id string) error {
	return fmt.Errorf("%s %s: %w", kind, id, os.ErrNotExist)
}

func mismatch(kind string) error {
	return &session.Error{Kind: session.Internal, Message: "The broker's store gave a wrong answer.",
		Next: "Tell whoever runs the broker.", Err: fmt.Errorf("%s: %w", kind, ErrMismatch)}
}

// forever is a time to live without an end.
const forever = time.Duration(-1)

// milliseconds rounds up, so that no positive time becomes 0.
func milliseconds(d time.Duration) int64 {
	if d <= 0 {
		return int64(d)
	}
	return int64((min(d, maxLife) + time.Millisecond - 1) / time.Millisecond)
}
