package broker

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"

	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/session"
)

// digests sums sealed recordings up once somebody lists them: one at a time, and no part
// of one is read while a person waits for a recording.
type digests struct {
	archive *Archive
	log     *slog.Logger
	asked   chan place

	mu      sync.Mutex
	waiting map[place]bool
}

func newDigests(a *Archive, log *slog.Logger) *digests {
	return &digests{archive: a, log: log, asked: make(chan place, maxDigests), waiting: map[place]bool{}}
}

// ask has the digest of a sealed recording computed soon. Asking twice is asking once.
func (d *digests) ask(site, recording string) {
	at := place{site, recording}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting[at] {
		return
	}
	select {
	case d.asked <- at:
		d.waiting[at] = true
	default: // it is asked for again with the next listing
	}
}

// run computes what is asked for until ctx ends.
func (d *digests) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case at := <-d.asked:
			if err := d.compute(ctx, at); err != nil && ctx.Err() == nil {
				d.log.Warn("a recording has no digest", "recording", at.recording, "err", err)
			}
			d.mu.Lock()
			delete(d.waiting, at)
			d.mu.Unlock()
		}
	}
}

// opener opens no part while a person waits for a recording.
func (d *digests) opener(ctx context.Context, at place) func(string) (io.ReadCloser, error) {
	open := d.archive.opener(ctx, at)
	return func(part string) (io.ReadCloser, error) {
		if err := d.archive.idle(ctx); err != nil {
			return nil, err
		}
		return open(part)
	}
}

func (d *digests) compute(ctx context.Context, at place) error {
	id, err := session.ParseRecordingID(at.recording)
	if err != nil {
		return err
	}
	if err := d.archive.arrived(ctx, at); err != nil {
		return err
	}
	x, known := d.archive.current(ctx, at)
	if !known {
		x, err = d.archive.read(at, d.opener(ctx, at))
	}
	if errors.Is(err, recordings.ErrSealedContent) {
		return d.archive.access.NoteDigest(ctx, at.site, id, nil)
	}
	if err != nil {
		return err
	}
	return d.archive.access.NoteDigest(ctx, at.site, id, &x.Digest)
}
