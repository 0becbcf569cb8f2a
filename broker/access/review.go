package access

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sallyport/sallyport/recordings/replay"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// What a review can say.
const (
	AsAgreed = "as-agreed"
	Concern  = "concern"
)

// review is what one of the hospital's people says of a recording. It stays.
type review struct {
	By          session.Person `json:"by"`
	At          time.Time      `json:"at"`
	Attestation string         `json:"attestation"`
	Comment     string         `json:"comment,omitempty"`
}

// MayReplay reads a recording for somebody who wants to see what is in it: they have
// said why, in the last hours.
func (a *Access) MayReplay(ctx context.Context, c Caller, id string) (Recording, error) {
	x, _, err := a.loadRecording(ctx, c, id)
	if err != nil {
		return Recording{}, err
	}
	now := a.now()
	if !slices.ContainsFunc(x.Viewed, func(l viewing) bool {
		return l.By.Identity == c.Who().Identity && !l.At.After(now) && now.Sub(l.At) < viewingLast
	}) {
		return Recording{}, refusal(session.Refused, "Give a reason; it is kept with the recording.", "Say first why you look at this recording.")
	}
	return x.view(), nil
}

// Review keeps what an approver or auditor of the site says of a recording that is
// over. Nobody judges their own session.
func (a *Access) Review(ctx context.Context, c Caller, id string, attestation, comment string) (Recording, error) {
	v, key, err := a.loadRecording(ctx, c, id)
	if err != nil {
		return Recording{}, err
	}
	comment = strings.TrimSpace(comment)
	switch {
	case !c.Is(session.Approver) && !c.Is(session.Auditor) || !c.At(v.Site), c.Who().Identity == v.Engineer.Identity:
		return Recording{}, refusal(session.Denied, "Ask an auditor of the hospital.", "Only the hospital's approvers and auditors review a recording, and never their own session.")
	case attestation != AsAgreed && attestation != Concern:
		return Recording{}, refusal(session.Invalid, "Choose as-agreed or concern.", "A review says as-agreed or concern.")
	case !wording.Plain(comment) || utf8.RuneCountInString(comment) > maxComment:
		return Recording{}, refusal(session.Invalid, "Write it shorter, in plain text on one line.", "The comment has at most %d plain characters.", maxComment)
	case comment != "" && !wording.Says(comment):
		return Recording{}, refusal(session.Invalid, "Write it in words, or leave it out.", "The comment says nothing.")
	case attestation == Concern && comment == "":
		return Recording{}, refusal(session.Invalid, "Write down what it is about.", "A concern needs a comment.")
	case v.Sealed.IsZero() || v.Engineer.Sub == "":
		return Recording{}, refusal(session.Refused, "Review it when it is over.", "This recording is not complete yet.")
	case len(v.Reviews) >= maxReviews:
		return Recording{}, tooManyReviews()
	}
	if err := a.enter(ctx, reviewed(c, v, attestation, comment)); err != nil {
		return Recording{}, err
	}
	var became recording
	err = a.putRecording(ctx, key, nil, func(x *recording) error {
		if len(x.Reviews) >= maxReviews {
			return tooManyReviews()
		}
		x.Reviews = append(x.Reviews, review{By: c.Who(), At: a.utc(), Attestation: attestation, Comment: comment})
		became = *x
		return nil
	})
	if err != nil {
		return Recording{}, err
	}
	a.log.Info("recording reviewed", "recording", id, "user", c.Who().Sub, "target", v.Asset, "attestation", attestation)
	return became.view(), nil
}

func tooManyReviews() error {
	return refusal(session.Refused, "Read those that are there.", "This recording has as many reviews as it can have.")
}

// reviewed is the event of a review. The log cuts long details; the hash is of all of it.
func reviewed(c Caller, x recording, attestation, comment string) witness.Event {
	e := x.event(witness.RecordingReviewed, c.Who().Identity, map[string]string{"attestation": attestation, "comment": comment})
	if comment != "" {
		e.Details["comment-sha256"] = hashed(comment)
	}
	return e
}

// NoteVerdict keeps what the broker found with the recording.
func (a *Access) NoteVerdict(ctx context.Context, site, name string, v Verdict) (Verdict, error) {
	id, err := session.ParseRecordingID(name)
	if err != nil {
		return Verdict{}, err
	}
	v.At = a.utc()
	return v, a.findOut(ctx, site, id, func(x *recording) { x.Verdict = &v })
}

// NoteDigest keeps the digest of a sealed recording; nil says that its content is
// sealed to others.
func (a *Access) NoteDigest(ctx context.Context, site string, id session.ID, d *replay.Digest) error {
	return a.findOut(ctx, site, id, func(x *recording) { x.Digest, x.Unseen = d, d == nil })
}

// findOut keeps something that was found out about a recording of a site.
func (a *Access) findOut(ctx context.Context, site string, id session.ID, change func(*recording)) error {
	return a.putRecording(ctx, id, nil, func(x *recording) error {
		if x.Site != site {
			return unknown("recording", id.Recording())
		}
		change(x)
		return nil
	})
}

// endRecordings notes why a session ended with each of its recordings.
func (a *Access) endRecordings(ctx context.Context, r record) error {
	if r.Session.Ended.IsZero() {
		return nil
	}
	for _, name := range r.Session.Recordings {
		id, err := session.ParseRecordingID(name)
		if err != nil {
			return err
		}
		err = a.putRecording(ctx, id, nil, func(x *recording) error {
			if x.Site == r.doc.Site && x.Session == r.sessionID().Session() {
				x.Reason = r.Session.Reason
			}
			return nil
		})
		if err != nil && !errors.Is(err, ErrUnknown) {
			return err
		}
	}
	return nil
}

// Identities are the identity keys of the agents of a site, as key lines; also those that
// they had before.
func (a *Access) Identities(ctx context.Context, name string) ([]string, error) {
	s, err := a.site(ctx, name)
	if err != nil {
		return nil, err
	}
	keys := slices.Clone(s.Former)
	for _, h := range s.Agents {
		keys = append(keys, h.Identity)
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}
