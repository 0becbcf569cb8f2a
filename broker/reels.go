package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"strconv"
	"sync"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/replay"
	"github.com/sallyport/sallyport/session"
)

// Bounds of what is shown at a time.
const (
	keptIndexes = 8    // of recordings that were shown last
	heavyReads  = 2    // whole recordings that are read at once
	maxWishes   = 4096 // digests that wait
)

// reels shows what is in the vault's recordings: api.Reels.
type reels struct {
	library
	access *access.Access
	out    *slog.Logger
	turn   chan struct{}
	wishes chan wish

	mu     sync.Mutex // guards what follows
	known  []indexed  // the newest last
	wished map[wish]bool
}

// indexed is the index of a recording as long as it had this many bytes.
type indexed struct {
	wish
	size  int64
	index replay.Index
}

// wish is a recording whose digest is to be computed.
type wish struct{ site, recording string }

func newReels(l library, a *access.Access, out *slog.Logger) *reels {
	return &reels{library: l, access: a, out: out, turn: make(chan struct{}, heavyReads), wishes: make(chan wish, maxWishes), wished: map[wish]bool{}}
}

// held is a recording's parts as they were listed.
type held struct {
	wish
	names []string
	size  int64
}

func (h held) sealed() bool {
	return len(h.names) > 0 && h.names[len(h.names)-1] == recordings.SealPart
}

func (r *reels) held(ctx context.Context, w wish) (held, error) {
	parts, err := r.vault.Parts(ctx, w.site, w.recording)
	if errors.Is(err, fs.ErrNotExist) || err == nil && (len(parts) == 0 || parts[0].Name != recordings.HeaderPart) {
		return held{}, &session.Error{Kind: session.Refused, Message: "Nothing of this recording has arrived yet.", Next: "Try again in a minute."}
	}
	if err != nil {
		return held{}, err
	}
	h := held{wish: w}
	for _, p := range parts {
		h.names, h.size = append(h.names, p.Name), h.size+p.Size
	}
	return h, nil
}

// opener opens parts until somebody stops waiting for what is made of them.
func (r *reels) opener(ctx context.Context, h held) func(string) (io.ReadCloser, error) {
	return func(part string) (io.ReadCloser, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return r.vault.Open(ctx, h.site, h.recording, part)
	}
}

// heavy waits for a turn to read a whole recording. The func gives it back.
func (r *reels) heavy(ctx context.Context) (func(), error) {
	select {
	case r.turn <- struct{}{}:
		return func() { <-r.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Replay is the index of a recording as far as it is here. The tag names its content
// once that cannot change any more.
func (r *reels) Replay(ctx context.Context, site, recording string) (replay.Index, string, error) {
	h, err := r.held(ctx, wish{site, recording})
	if err != nil {
		return replay.Index{}, "", err
	}
	tag := ""
	if h.sealed() {
		tag = recording + "." + strconv.FormatInt(h.size, 36)
	}
	x, err := r.index(ctx, h)
	return x, tag, err
}

// index finds or computes an index.
func (r *reels) index(ctx context.Context, h held) (replay.Index, error) {
	if x, ok := r.recall(h.wish, h.size); ok {
		return x, nil
	}
	done, err := r.heavy(ctx)
	if err != nil {
		return replay.Index{}, err
	}
	defer done()
	if x, ok := r.recall(h.wish, h.size); ok { // somebody else wanted it, too
		return x, nil
	}
	src, err := recordings.OpenParts(r.opener(ctx, h), h.names)
	if err != nil {
		return replay.Index{}, unshown(h.recording, err)
	}
	defer src.Close()
	x, err := replay.Read(src)
	if err != nil {
		return replay.Index{}, unshown(h.recording, err)
	}
	r.remember(indexed{wish: h.wish, size: h.size, index: x})
	return x, nil
}

// recall finds an index that is still known; size 0: of whatever size.
func (r *reels) recall(w wish, size int64) (replay.Index, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.known, func(k indexed) bool { return k.wish == w && (size == 0 || k.size == size) })
	if i < 0 {
		return replay.Index{}, false
	}
	k := r.known[i]
	r.known = append(slices.Delete(r.known, i, i+1), k)
	return k.index, true
}

func (r *reels) remember(k indexed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known = slices.DeleteFunc(r.known, func(old indexed) bool { return old.wish == k.wish })
	r.known = append(r.known, k)
	r.known = slices.Delete(r.known, 0, max(0, len(r.known)-keptIndexes))
}

// Part is a range of the index that the caller was shown.
func (r *reels) Part(ctx context.Context, site, recording string, n int) ([]replay.Event, error) {
	h, err := r.held(ctx, wish{site, recording})
	if err != nil {
		return nil, err
	}
	x, ok := r.recall(h.wish, 0)
	if !ok || n >= len(x.Parts) {
		if x, err = r.index(ctx, h); err != nil {
			return nil, err
		}
	}
	if n < 0 || n >= len(x.Parts) {
		return nil, &session.Error{Kind: session.Invalid, Message: fmt.Sprintf("There is no part %d.", n), Next: "Read the replay again.", Err: access.ErrUnknown}
	}
	var opened io.Closer
	events, err := x.Parts[n].Events(func(at recordings.Mark) (replay.Source, error) {
		src, err := recordings.OpenPartsAt(r.opener(ctx, h), h.names, at)
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
func (r *reels) Transcript(ctx context.Context, site, recording string) ([]replay.Line, string, error) {
	h, err := r.held(ctx, wish{site, recording})
	if err != nil {
		return nil, "", err
	}
	done, err := r.heavy(ctx)
	if err != nil {
		return nil, "", err
	}
	defer done()
	src, err := recordings.OpenParts(r.opener(ctx, h), h.names)
	if err != nil {
		return nil, "", unshown(recording, err)
	}
	defer src.Close()
	lines, err := replay.Transcript(src)
	if err != nil {
		return nil, "", unshown(recording, err)
	}
	tag := ""
	if h.sealed() {
		tag = recording + "." + strconv.FormatInt(h.size, 36)
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

// Want has the digest of a sealed recording computed soon. Asking twice is asking once.
func (r *reels) Want(site, recording string) {
	w := wish{site, recording}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wished[w] {
		return
	}
	select {
	case r.wishes <- w:
		r.wished[w] = true
	default: // it is asked for again with the next listing
	}
}

// keepDigests computes what is wished until ctx ends.
func (r *reels) keepDigests(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case w := <-r.wishes:
			if err := r.digest(ctx, w); err != nil && ctx.Err() == nil {
				r.out.Warn("a recording has no digest", "recording", w.recording, "err", err)
			}
			r.mu.Lock()
			delete(r.wished, w)
			r.mu.Unlock()
		}
	}
}

func (r *reels) digest(ctx context.Context, w wish) error {
	id, err := session.ParseRecordingID(w.recording)
	if err != nil {
		return err
	}
	h, err := r.held(ctx, w)
	if err != nil {
		return err
	}
	x, err := r.index(ctx, h)
	if errors.Is(err, recordings.ErrSealedContent) {
		return r.access.NoteDigest(ctx, w.site, id, nil)
	}
	if err != nil {
		return err
	}
	return r.access.NoteDigest(ctx, w.site, id, &x.Digest)
}
