package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sallyport/sallyport/session"
)

// Doc is a document as it stood when it was read.
type Doc struct {
	Kind    string
	ID      string
	Version uint64 // grows with every change, over all documents of the kind
	Body    []byte
}

// Create makes a document that did not exist, or says ErrExists. It is listed under
// each of the names given and, if it is kept for ever (ttl 0), with all of its kind.
func (s *Store) Create(ctx context.Context, kind, id string, body []byte, ttl time.Duration, under ...string) error {
	if err := named(kind, append([]string{id}, under...)...); err != nil {
		return err
	}
	if len(body) > MaxBody {
		return tooLarge(kind, body)
	}
	keys := s.keys(kind, id)
	for _, name := range under {
		keys = append(keys, s.underKey(kind, name))
	}
	n, err := s.change(ctx, createScript, keys, kind, id, body, milliseconds(ttl))
	if err == nil && n == 0 {
		err = fmt.Errorf("create %s %s: %w", kind, id, ErrExists)
	}
	return err
}

// Get reads a document.
func (s *Store) Get(ctx context.Context, kind, id string) (Doc, error) {
	if err := named(kind, id); err != nil {
		return Doc{}, err
	}
	reply, err := s.client.HMGet(ctx, s.docKey(kind, id), "kind", "id", "version", "body").Result()
	if err != nil {
		return Doc{}, lost("get "+kind, err)
	}
	return readDoc(kind, id, reply)
}

// Whole is what a document and its parts become. A part is a document of the same kind
// that is only ever changed together with the one it belongs to.
type Whole struct {
	Body []byte
	Put  []Part
	Drop []Part // without bodies; one that is not there is fine
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
	return s.replace(ctx, kind, id, func(old Doc) (int64, error) {
		whole, err := edit(append([]byte(nil), old.Body...))
		if err != nil {
			return 0, err
		}
		if len(whole.Body) > MaxBody {
			return 0, tooLarge(kind, whole.Body)
		}
		keys, args := s.keys(kind, id), []any{whole.Body, strconv.FormatUint(old.Version, 10)}
		add := func(what string, all []Part) error {
			for _, p := range all {
				if err := named(kind, append([]string{p.ID}, p.Under...)...); err != nil {
					return err
				}
				if len(p.Body) > MaxBody {
					return tooLarge(kind, p.Body)
				}
				keys, args = append(keys, s.docKey(kind, p.ID)), append(args, p.ID, what, p.Body, len(p.Under))
				for _, name := range p.Under {
					keys = append(keys, s.underKey(kind, name))
				}
			}
			return nil
		}
		if err := errors.Join(add("put", whole.Put), add("drop", whole.Drop)); err != nil {
			return 0, err
		}
		return s.change(ctx, wholeScript, keys, kind, id, args...)
	})
}

// Update replaces a document by what edit makes of it. edit may run several times
// and must be pure; its error ends the update and is returned as it is. An edit
// that returns the bytes it was given changes nothing.
func (s *Store) Update(ctx context.Context, kind, id string, edit func(old []byte) ([]byte, error)) error {
	return s.replace(ctx, kind, id, func(old Doc) (int64, error) {
		body, err := edit(append([]byte(nil), old.Body...))
		switch {
		case err != nil:
			return 0, err
		case string(body) == string(old.Body):
			return 1, nil
		case len(body) > MaxBody:
			return 0, tooLarge(kind, body)
		}
		return s.change(ctx, updateScript, s.keys(kind, id), kind, id, body, strconv.FormatUint(old.Version, 10))
	})
}

// replace tries a change of a document until nobody was quicker. try's number is the new
// version, 0 when the document is not old any more, less when it is gone.
func (s *Store) replace(ctx context.Context, kind, id string, try func(old Doc) (int64, error)) error {
	for n := range maxTries {
		old, err := s.Get(ctx, kind, id)
		if err != nil {
			return err
		}
		v, err := try(old)
		switch {
		case err != nil:
			return err
		case v > 0:
			return nil
		case v < 0:
			return absent(kind, id)
		}
		if err := pause(ctx, n); err != nil {
			return lost("update "+kind, err)
		}
	}
	return lost("update "+kind, fmt.Errorf("others were quicker %d times", maxTries))
}

// Take reads a document and deletes it in one step: of any number of callers one gets it.
func (s *Store) Take(ctx context.Context, kind, id string) (Doc, error) {
	if err := named(kind, id); err != nil {
		return Doc{}, err
	}
	reply, err := takeScript.Run(ctx, s.client, s.keys(kind, id), kind, id).Slice()
	if err != nil {
		return Doc{}, lost("take "+kind, err)
	}
	return readDoc(kind, id, reply)
}

// Delete removes a document. One that is not there is fine.
func (s *Store) Delete(ctx context.Context, kind, id string) error {
	_, err := s.Take(ctx, kind, id)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// Add lists an existing document under one more name.
func (s *Store) Add(ctx context.Context, kind, id, under string) error {
	if err := named(kind, id, under); err != nil {
		return err
	}
	n, err := s.change(ctx, addScript, append(s.keys(kind, id), s.underKey(kind, under)), kind, id)
	if err == nil && n < 0 {
		err = absent(kind, id)
	}
	return err
}

func (s *Store) keys(kind, id string) []string {
	return []string{s.docKey(kind, id), s.clockKey(kind), s.changesKey(kind), s.everyKey(kind)}
}

// change runs a script whose reply is kind, id and a number.
func (s *Store) change(ctx context.Context, script *redis.Script, keys []string, kind, id string, args ...any) (int64, error) {
	reply, err := script.Run(ctx, s.client, keys, append([]any{kind, id}, args...)...).Slice()
	if err != nil {
		return 0, lost("change "+kind, err)
	}
	if len(reply) != 3 || reply[0] != kind || reply[1] != id {
		return 0, mismatch(kind)
	}
	n, ok := reply[2].(int64)
	if !ok {
		return 0, mismatch(kind)
	}
	return n, nil
}

// readDoc reads kind, id, version, body and refuses a reply that is not the
// document asked for.
func readDoc(kind, id string, reply []any) (Doc, error) {
	if len(reply) != 4 {
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
	return Doc{Kind: kind, ID: id, Version: version, Body: []byte(body)}, nil
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

func tooLarge(kind string, body []byte) error {
	return session.Errorf(session.Internal, "store: a %s of %d bytes", kind, len(body))
}

// milliseconds rounds up, so that no positive time becomes "for ever".
func milliseconds(d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}
