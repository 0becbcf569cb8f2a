package broker

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/recordings"
	"github.com/sallyport/sallyport/recordings/replay"
	"github.com/sallyport/sallyport/recordings/replay/screen"
	"github.com/sallyport/sallyport/recordings/replay/terminal"
	"github.com/sallyport/sallyport/session"
)

// Archive is what the broker does with recordings: it takes their parts, countersigns
// their heads, and shows what is in them.
type Archive struct {
	library
	access *access.Access
	wake   chan struct{} // there may be something to read

	mu sync.Mutex // guards what follows
	readings
	busy int // people who wait for a whole recording to be read
}

// NewArchive makes it. logs are the audit logs in which its seals are found, nodes those
// whose countersignatures count here.
func NewArchive(v Vault, signer ed25519.PrivateKey, logs func(context.Context) iter.Seq[Log], nodes func() session.Nodes, a *access.Access) *Archive {
	return &Archive{library: library{v, signer, logs, nodes}, access: a, wake: make(chan struct{}, 1)}
}

// heavy says that somebody waits for a whole recording to be read. The func ends that. How
// many do so at once is for the doors to say.
func (a *Archive) heavy() (done func()) {
	a.waits(1)
	return func() { a.waits(-1) }
}

func (a *Archive) waits(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.busy += n
	a.stir()
}

// arrived refuses a recording of which nothing is here.
func (a *Archive) arrived(ctx context.Context, at place) error {
	here, err := a.has(ctx, at, recordings.HeaderPart)
	if err == nil && !here {
		err = &session.Error{Kind: session.Refused, Message: "Nothing of this recording has arrived yet.", Next: "Try again in a minute."}
	}
	return err
}

// open opens a recording and looks how much there is of it, which heads alone tell.
func (a *Archive) open(ctx context.Context, at place) (*recordings.Reader, recordings.Length, error) {
	if err := a.arrived(ctx, at); err != nil {
		return nil, recordings.Length{}, err
	}
	src, err := recordings.OpenParts(a.opener(ctx, at))
	if err != nil {
		return nil, recordings.Length{}, unshown(at.recording, err)
	}
	length, err := src.Length()
	if x := a.seen(at); x.Broken != "" {
		length.Segments, length.At = x.Parts, x.Read
	}
	if err != nil {
		return nil, length, errors.Join(unshown(at.recording, err), src.Close())
	}
	return src, length, nil
}

// Replay is what a player has to know of a recording, and has somebody read the rest of
// it. The tag names an answer that cannot change any more.
func (a *Archive) Replay(ctx context.Context, site, recording string) (replay.Overview, string, error) {
	at := place{site, recording}
	src, length, err := a.open(ctx, at)
	if err != nil {
		return replay.Overview{}, "", err
	}
	x := replay.Overview{Started: src.Header().Started, Length: length, Index: a.look(at)}
	if err := src.Close(); err != nil || !x.Whole || x.Broken != "" {
		return x, "", err
	}
	return x, recording, nil
}

// Part is what a segment shows.
func (a *Archive) Part(ctx context.Context, site, recording string, n int) (replay.Part, error) {
	return a.part(ctx, place{site, recording}, func(_ *recordings.Reader, length recordings.Length) (uint32, error) {
		if n < 0 || int64(n) >= int64(length.Segments) {
			return 0, &session.Error{Kind: session.Invalid, Message: fmt.Sprintf("There is no part %d.", n), Next: "Read the replay again.", Err: access.ErrUnknown}
		}
		return uint32(n), nil
	}, 1)
}

// Moment is the part at which a player begins that shows a moment: the one that holds it, or
// the last before it at which all that stands is known.
func (a *Archive) Moment(ctx context.Context, site, recording string, at int64) (replay.Part, error) {
	return a.part(ctx, place{site, recording}, func(r *recordings.Reader, length recordings.Length) (uint32, error) {
		n, err := r.Find(at)
		return min(n, max(length.Segments, 1)-1), err
	}, maxBack)
}

// part reads a segment, or an earlier one of so many where that one is not complete.
func (a *Archive) part(ctx context.Context, at place, which func(*recordings.Reader, recordings.Length) (uint32, error), back int) (replay.Part, error) {
	src, length, err := a.open(ctx, at)
	if err != nil {
		return replay.Part{}, err
	}
	defer src.Close()
	n, err := which(src, length)
	if err != nil {
		return replay.Part{}, unshown(at.recording, err)
	}
	if length.Segments == 0 && a.seen(at).Broken == "" {
		return replay.Part{Complete: true, Screens: []terminal.Screen{}, Events: []replay.Event{}}, nil
	}
	scene, err := replay.SceneFrom(src, n, back)
	if err != nil {
		return replay.Part{}, unshown(at.recording, err)
	}
	return replay.PartOf(scene, a.seen(at).Channels), nil
}

// Thumb is a small picture of what a recording showed at a moment, or in its middle where
// that is negative, as a PNG.
func (a *Archive) Thumb(ctx context.Context, site, recording string, at int64, most int) ([]byte, error) {
	src, length, err := a.open(ctx, place{site, recording})
	if err != nil {
		return nil, err
	}
	defer src.Close()
	if at < 0 {
		at = length.At / 2
	}
	b, err := screen.ThumbAt(src, at, most)
	return b, unshown(recording, err)
}

// Transcript is what was shown from a segment on, as lines. The tag names an answer that
// cannot change any more.
func (a *Archive) Transcript(ctx context.Context, site, recording string, from uint32) (replay.Text, string, error) {
	at := place{site, recording}
	if err := a.arrived(ctx, at); err != nil {
		return replay.Text{}, "", err
	}
	defer a.heavy()()
	src, length, err := a.open(ctx, at)
	if err != nil {
		return replay.Text{}, "", err
	}
	defer src.Close()
	x := a.seen(at)
	text, err := replay.ReadText(src, replay.Stretch{From: from, Segments: length.Segments, Over: length.Sealed || x.Broken != "",
		Broken: x.Broken, Known: x.Channels})
	if err != nil || !length.Sealed || !x.Whole || x.Broken != "" {
		return text, "", unshown(recording, err)
	}
	return text, fmt.Sprintf("%s.%d", recording, from), nil
}

// unshown says why a recording cannot be shown.
func unshown(recording string, err error) error {
	var d *recordings.Damage
	switch {
	case errors.Is(err, recordings.ErrSealedContent):
		return &session.Error{Kind: session.Refused, Err: err, Message: "What is in this recording is sealed to the hospital; the broker cannot show it.",
			Next: "Replay it where the hospital's identity is: sallyport recordings play " + recording + " --reason WHY."}
	case errors.As(err, &d), errors.Is(err, io.EOF): // missing, though something follows it
		return &session.Error{Kind: session.Refused, Err: err, Message: "This recording cannot be read.",
			Next: "See where it breaks: sallyport recordings verify " + recording + "."}
	}
	return err
}
