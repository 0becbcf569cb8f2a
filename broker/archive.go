package broker

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/replay"
	"github.com/sallyport/sallyport/recordings/replay/terminal"
	"github.com/sallyport/sallyport/session"
)

// Archive is what the broker does with recordings: it takes their parts, countersigns
// their heads, and shows what is in them.
type Archive struct {
	library
	access *access.Access
	turn   chan struct{} // of those that read a whole recording

	mu    sync.Mutex    // guards what follows
	known []indexed     // the newest last
	busy  int           // people who wait for a whole recording to be read
	quiet chan struct{} // closed once nobody does; nil while nobody does
}

// indexed is the index of a recording as far as it was there.
type indexed struct {
	place
	index    replay.Index
	segments uint32
}

// NewArchive makes it. logs are the audit logs in which its seals are found, nodes those
// whose countersignatures count here.
func NewArchive(v Vault, signer ed25519.PrivateKey, logs func(context.Context) iter.Seq[Log], nodes func() session.Nodes, a *access.Access) *Archive {
	return &Archive{library: library{v, signer, logs, nodes}, access: a, turn: make(chan struct{}, heavyReads)}
}

// heavy waits for a turn to read a whole recording for somebody. The func gives it back.
func (a *Archive) heavy(ctx context.Context) (func(), error) {
	a.reading(1)
	select {
	case a.turn <- struct{}{}:
		return func() { <-a.turn; a.reading(-1) }, nil
	case <-ctx.Done():
		a.reading(-1)
		return nil, ctx.Err()
	}
}

func (a *Archive) reading(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.busy == 0 {
		a.quiet = make(chan struct{})
	}
	if a.busy += n; a.busy == 0 {
		close(a.quiet)
		a.quiet = nil
	}
}

// idle waits until nobody waits for a whole recording.
func (a *Archive) idle(ctx context.Context) error {
	for {
		a.mu.Lock()
		quiet := a.quiet
		a.mu.Unlock()
		if quiet == nil {
			return ctx.Err()
		}
		select {
		case <-quiet:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// arrived refuses a recording of which nothing is here.
func (a *Archive) arrived(ctx context.Context, at place) error {
	here, err := a.has(ctx, at, recordings.HeaderPart)
	if err == nil && !here {
		err = &session.Error{Kind: session.Refused, Message: "Nothing of this recording has arrived yet.", Next: "Try again in a minute."}
	}
	return err
}

// Replay is the index of a recording as far as it is here. The tag names its content
// once that cannot change any more.
func (a *Archive) Replay(ctx context.Context, site, recording string) (replay.Index, string, error) {
	x, err := a.index(ctx, place{site, recording})
	if err != nil || !x.Sealed || x.Broken != "" {
		return x, "", err
	}
	return x, recording, nil
}

// index finds or computes an index.
func (a *Archive) index(ctx context.Context, at place) (replay.Index, error) {
	if err := a.arrived(ctx, at); err != nil {
		return replay.Index{}, err
	}
	if x, ok := a.current(ctx, at); ok {
		return x, nil
	}
	done, err := a.heavy(ctx)
	if err != nil {
		return replay.Index{}, err
	}
	defer done()
	if x, ok := a.current(ctx, at); ok { // somebody else wanted it, too
		return x, nil
	}
	return a.read(at, a.opener(ctx, at))
}

// read computes an index.
func (a *Archive) read(at place, open func(string) (io.ReadCloser, error)) (replay.Index, error) {
	src, err := recordings.OpenParts(open)
	if err != nil {
		return replay.Index{}, unshown(at.recording, err)
	}
	defer src.Close()
	x, err := replay.Read(src)
	if err != nil {
		return replay.Index{}, unshown(at.recording, err)
	}
	a.remember(indexed{place: at, index: x, segments: src.Segments()})
	return x, nil
}

// current finds an index that is still known and of all that is here: nothing stands
// where it ended. What is damaged is read again.
func (a *Archive) current(ctx context.Context, at place) (replay.Index, bool) {
	k, ok := a.recall(at)
	if !ok {
		return replay.Index{}, false
	}
	next := recordings.SegmentPart(k.segments)
	for _, part := range []string{next, recordings.SealPart} {
		if part == recordings.SealPart && k.index.Sealed {
			continue
		}
		if more, err := a.has(ctx, at, part); more || err != nil {
			return replay.Index{}, false
		}
	}
	return k.index, true
}

// recall finds an index that is still known.
func (a *Archive) recall(at place) (indexed, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.IndexFunc(a.known, func(k indexed) bool { return k.place == at })
	if i < 0 {
		return indexed{}, false
	}
	k := a.known[i]
	a.known = append(slices.Delete(a.known, i, i+1), k)
	return k, true
}

func (a *Archive) remember(k indexed) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known = slices.DeleteFunc(a.known, func(old indexed) bool { return old.place == k.place })
	a.known = append(a.known, k)
	a.known = slices.Delete(a.known, 0, max(0, len(a.known)-keptIndexes))
}

// Part is a range of the index that the caller was shown.
func (a *Archive) Part(ctx context.Context, site, recording string, n int) ([]replay.Event, error) {
	at := place{site, recording}
	k, known := a.recall(at)
	x := k.index
	if !known || n >= len(x.Parts) {
		var err error
		if x, err = a.index(ctx, at); err != nil {
			return nil, err
		}
	}
	if n < 0 || n >= len(x.Parts) {
		return nil, &session.Error{Kind: session.Invalid, Message: fmt.Sprintf("There is no part %d.", n), Next: "Read the replay again.", Err: access.ErrUnknown}
	}
	var opened io.Closer
	events, err := x.Parts[n].Events(func(from recordings.Mark) (replay.Source, error) {
		src, err := recordings.OpenPartsAt(a.opener(ctx, at), from)
		if err == nil {
			opened = src
		}
		return src, err
	})
	if opened != nil {
		err = errors.Join(err, opened.Close())
	}
	if err != nil {
		return nil, unshown(recording, err)
	}
	return events, nil
}

// Transcript is what was shown, as lines.
func (a *Archive) Transcript(ctx context.Context, site, recording string) ([]terminal.Line, string, error) {
	at := place{site, recording}
	if err := a.arrived(ctx, at); err != nil {
		return nil, "", err
	}
	done, err := a.heavy(ctx)
	if err != nil {
		return nil, "", err
	}
	defer done()
	src, err := recordings.OpenParts(a.opener(ctx, at))
	if err != nil {
		return nil, "", unshown(recording, err)
	}
	defer src.Close()
	lines, err := terminal.Transcript(src)
	if err != nil {
		return nil, "", unshown(recording, err)
	}
	tag := ""
	if _, sealed := src.Seal(); sealed {
		tag = recording
	}
	return lines, tag, nil
}

// unshown says why a recording cannot be shown.
func unshown(recording string, err error) error {
	var d *recordings.Damage
	switch {
	case errors.Is(err, recordings.ErrSealedContent):
		return &session.Error{Kind: session.Refused, Err: err, Message: "What is in this recording is sealed to the hospital; the broker cannot show it.",
			Next: "Replay it where the hospital's identity is: sallyport recordings play " + recording + "."}
	case errors.Is(err, replay.ErrTooLong):
		return &session.Error{Kind: session.Refused, Err: err, Message: "This recording is too long for a page.",
			Next: "Replay it with sallyport recordings play " + recording + "."}
	case errors.As(err, &d):
		return &session.Error{Kind: session.Refused, Err: err, Message: "This recording cannot be read.",
			Next: "See where it breaks: sallyport recordings verify " + recording + "."}
	}
	return err
}
