package broker

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/replay"
	"github.com/sallyport/sallyport/session"
)

// readings are the recordings that are read from their beginning, for markers, activity and
// digests: by one goroutine, some segments at a time. Those that somebody looks at take
// turns; of those that were only listed nothing is read while somebody waits.
type readings struct {
	known  []*reading // that were looked at, the newest last
	looked []*reading // of those, that wait for their turn
	listed []*reading // that wait until all of the others are read, for their digest
}

// reading is a recording as far as it was read. It goes on where it ended when there is more.
type reading struct {
	place
	listed bool
	src    *recordings.Reader // nil: not opened
	all    *replay.Reading
	index  replay.Index // guarded by the archive's mu
}

// Run reads what there is to read until ctx ends.
func (a *Archive) Run(ctx context.Context, log *slog.Logger) error {
	for {
		if r := a.next(); r != nil {
			if err := a.step(ctx, r); err != nil && ctx.Err() == nil {
				log.Warn("a recording is not read", "recording", r.recording, "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-a.wake:
		}
	}
}

// stir wakes Run up. It is called with mu held.
func (a *Archive) stir() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// next is whose turn it is, if anybody's.
func (a *Archive) next() *reading {
	a.mu.Lock()
	defer a.mu.Unlock()
	queue := &a.looked
	if len(*queue) == 0 && a.busy == 0 {
		queue = &a.listed
	}
	if len(*queue) == 0 {
		return nil
	}
	r := (*queue)[0]
	*queue = slices.Delete(*queue, 0, 1)
	return r
}

// step reads some segments further.
func (a *Archive) step(ctx context.Context, r *reading) error {
	more, err := a.read(ctx, r)
	if r.listed && !more {
		err = a.noteDigest(ctx, r, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	defer a.stir()
	switch {
	case err != nil: // who looks again has it read from its beginning
		a.known = slices.DeleteFunc(a.known, func(k *reading) bool { return k == r })
	case r.listed && more:
		a.listed = slices.Insert(a.listed, 0, r)
	case more && slices.Contains(a.known, r) && !slices.Contains(a.looked, r):
		a.looked = append(a.looked, r)
	}
	if !slices.Contains(a.known, r) && !slices.Contains(a.listed, r) {
		err = errors.Join(err, r.letGo())
	}
	return err
}

// letGo frees what a recording is read with. Whoever looks again begins anew.
func (r *reading) letGo() error {
	src := r.src
	if r.src = nil; src == nil {
		return nil
	}
	return src.Close()
}

func (a *Archive) read(ctx context.Context, r *reading) (more bool, err error) {
	if r.index.Whole {
		return false, nil
	}
	if r.src == nil {
		if r.src, err = recordings.OpenParts(a.opener(ctx, r.place)); err != nil {
			return false, err
		}
		r.all = replay.Begin(r.src)
	}
	at := uint32(1)
	if !r.listed {
		at = atOnce
	}
	if more, err = r.all.On(at); err != nil || more && r.listed {
		return more, err
	}
	x := r.all.Index()
	a.mu.Lock()
	r.index = x
	a.mu.Unlock()
	if x.Whole {
		err = r.letGo()
	}
	return more, err
}

// look has a recording read, and returns what is known of it now.
func (a *Archive) look(at place) replay.Index {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := &reading{place: at}
	if i := a.find(at); i >= 0 {
		r = a.known[i]
		a.known = slices.Delete(a.known, i, i+1)
	}
	a.known = append(a.known, r)
	a.known = slices.Delete(a.known, 0, max(0, len(a.known)-keptIndexes))
	if !r.index.Whole && !slices.Contains(a.looked, r) {
		a.looked = append(a.looked, r)
		a.stir()
	}
	return r.index
}

// seen is what is known of a recording.
func (a *Archive) seen(at place) replay.Index {
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := a.find(at); i >= 0 {
		return a.known[i].index
	}
	return replay.Index{}
}

func (a *Archive) find(at place) int {
	return slices.IndexFunc(a.known, func(k *reading) bool { return k.place == at })
}

// Digest has the digest of a sealed recording noted soon. Asking twice is asking once; one
// for which there is no room is asked for again with the next listing.
func (a *Archive) Digest(site, recording string) {
	at := place{site, recording}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.listed) < maxDigests && !slices.ContainsFunc(a.listed, func(r *reading) bool { return r.place == at }) {
		a.listed = append(a.listed, &reading{place: at, listed: true})
		a.stir()
	}
}

// noteDigest notes what was found, or that it is sealed to others.
func (a *Archive) noteDigest(ctx context.Context, r *reading, found error) error {
	id, err := session.ParseRecordingID(r.recording)
	switch {
	case err != nil:
		return err
	case errors.Is(found, recordings.ErrSealedContent):
		return a.access.NoteDigest(ctx, r.site, id, nil)
	case found != nil || !r.index.Whole:
		return found
	}
	return a.access.NoteDigest(ctx, r.site, id, &r.index.Digest)
}
