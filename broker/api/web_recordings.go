package api

import (
	"context"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/recordings/replay"
	"github.com/sallyport/sallyport/session"
)

// Replays shows what is in the recordings of the vault. The tag names an answer that will
// never change; it is empty while the recording may grow.
type Replays interface {
	Replay(ctx context.Context, site, recording string) (all replay.Overview, tag string, err error)
	Part(ctx context.Context, site, recording string, n int) (replay.Part, error)
	Moment(ctx context.Context, site, recording string, at int64) (replay.Part, error)
	Transcript(ctx context.Context, site, recording string, from uint32) (text replay.Text, tag string, err error)
}

// Thumbs draws small pictures of recordings, as PNG: of a moment, or of the middle where that
// is negative. No side is longer than most.
type Thumbs interface {
	Thumb(ctx context.Context, site, recording string, at int64, most int) ([]byte, error)
}

// A picture in a list is so small that no text on a console can be read in it: who may know
// of a recording sees it without saying why. A thumbnail is as large as one can use it.
const (
	pictureSide = 96
	thumbSide   = 240
)

type (
	drawn struct {
		Type string `header:"Content-Type"`
		Body []byte `contentType:"image/png"`
	}
	recordingsQuery struct {
		Stretch
		Asset     string `query:"asset" maxLength:"129" doc:"SITE/ASSET, or ASSET of any site"`
		Engineer  string `query:"engineer" maxLength:"200" doc:"part of an e-mail address or a name"`
		From      string `query:"from" maxLength:"40" doc:"started at or after: RFC 3339, or a day (UTC)"`
		To        string `query:"to" maxLength:"40" doc:"started before: RFC 3339, or until the end of a day (UTC)"`
		WorkOrder string `query:"work_order" maxLength:"200" doc:"part of it"`
		With      string `query:"with" maxLength:"60" doc:"all of these, with commas between: files, killed, torn, unreviewed, stuck"`
	}
	partPath struct {
		ID string `path:"id" maxLength:"60"`
		N  int    `path:"n" minimum:"0"`
	}
	momentPath struct {
		ID string `path:"id" maxLength:"60"`
		At int64  `path:"at" minimum:"0" doc:"microseconds since the recording began"`
	}
	stretchAsked struct {
		ID    string `path:"id" maxLength:"60"`
		Match string `header:"If-None-Match" maxLength:"200"`
		From  uint32 `query:"from" doc:"the part at which to read on: next of the stretch before"`
	}
	knownTag struct {
		ID    string `path:"id" maxLength:"60"`
		Match string `header:"If-None-Match" maxLength:"200"`
	}
	tagged[T any] struct {
		Status int
		ETag   string `header:"ETag"`
		Body   T
	}
	reviewing struct {
		ID   string `path:"id" maxLength:"60"`
		Body Attestation
	}
)

// registerReplays builds the calls about what is in a recording and what is said of it.
func (d *door) registerReplays(api huma.API) {
	handle(d, api, "list-recordings", d.listRecordings)
	handle(d, api, "get-recording", func(ctx context.Context, who signedIn, in *byID) (*of[Recording], error) {
		r, err := d.Access.Recording(ctx, who, in.ID)
		return answer(d.digested(r)), err
	})
	handle(d, api, "get-recording-replay", func(ctx context.Context, who signedIn, in *knownTag) (*tagged[Replay], error) {
		r, err := d.Access.MayReplay(ctx, who, in.ID)
		if err != nil {
			return nil, err
		}
		x, tag, err := d.Replays.Replay(ctx, r.Site, r.ID)
		if err != nil {
			return nil, err
		}
		zone, err := d.Access.Zone(ctx, r.Site, r.Asset)
		return labelled(in.Match, tag, "r", ReplayOf(r.ID, x, zone)), err
	})
	handle(d, api, "get-recording-part", func(ctx context.Context, who signedIn, in *partPath) (*of[ReplayPart], error) {
		r, err := d.Access.MayReplay(ctx, who, in.ID)
		if err != nil {
			return nil, err
		}
		p, err := d.Replays.Part(ctx, r.Site, r.ID, in.N)
		return answer(PartOf(p)), err
	})
	handle(d, api, "get-recording-moment", func(ctx context.Context, who signedIn, in *momentPath) (*of[ReplayPart], error) {
		r, err := d.Access.MayReplay(ctx, who, in.ID)
		if err != nil {
			return nil, err
		}
		p, err := d.Replays.Moment(ctx, r.Site, r.ID, in.At)
		return answer(PartOf(p)), err
	})
	handle(d, api, "get-recording-picture", func(ctx context.Context, who signedIn, in *byID) (*drawn, error) {
		r, err := d.Access.Recording(ctx, who, in.ID)
		if err != nil {
			return nil, err
		}
		b, err := d.Thumbs.Thumb(ctx, r.Site, r.ID, -1, pictureSide)
		return &drawn{"image/png", b}, err
	})
	handle(d, api, "get-recording-thumb", func(ctx context.Context, who signedIn, in *momentPath) (*drawn, error) {
		r, err := d.Access.MayReplay(ctx, who, in.ID)
		if err != nil {
			return nil, err
		}
		b, err := d.Thumbs.Thumb(ctx, r.Site, r.ID, in.At, thumbSide)
		return &drawn{"image/png", b}, err
	})
	handle(d, api, "get-recording-transcript", func(ctx context.Context, who signedIn, in *stretchAsked) (*tagged[Transcript], error) {
		r, err := d.Access.MayReplay(ctx, who, in.ID)
		if err != nil {
			return nil, err
		}
		x, tag, err := d.Replays.Transcript(ctx, r.Site, r.ID, in.From)
		return labelled(in.Match, tag, "t", transcriptView(x)), err
	})
	handle(d, api, "verify-recording", d.verifyRecording)
	handle(d, api, "review-recording", func(ctx context.Context, who signedIn, in *reviewing) (*of[Recording], error) {
		r, err := d.Access.Review(ctx, who, in.ID, in.Body.Attestation, in.Body.Comment)
		return answer(d.digested(r)), err
	})
	handle(d, api, "get-request-context", func(ctx context.Context, who signedIn, in *byID) (*of[Context], error) {
		x, err := d.Access.Context(ctx, who, in.ID)
		return answer(x), err
	})
}

// labelled answers with a tag, or with nothing when the caller has that answer. what keeps
// the tags of two answers about one recording apart.
func labelled[T any](match, tag, what string, body T) *tagged[T] {
	if tag == "" {
		return &tagged[T]{Status: 200, Body: body}
	}
	tag = `"` + what + "." + tag + `"`
	if match == tag {
		return &tagged[T]{Status: 304, ETag: tag}
	}
	return &tagged[T]{Status: 200, ETag: tag, Body: body}
}

// digested is a recording whose digest is asked for where it is not there yet.
func (d *door) digested(r Recording) Recording {
	if r.State != "" && r.State != "live" && r.Readable && r.Digest == nil && d.Digest != nil {
		d.Digest(r.Site, r.ID)
	}
	return r
}

func (d *door) listRecordings(ctx context.Context, who signedIn, in *recordingsQuery) (*listed[Recording], error) {
	f := access.Filter{Asset: in.Asset, Engineer: in.Engineer, WorkOrder: in.WorkOrder}
	var err error
	if f.From, err = moment(in.From, 0); err != nil {
		return nil, err
	}
	if f.To, err = moment(in.To, 24*time.Hour); err != nil {
		return nil, err
	}
	if in.With != "" {
		f.With = strings.Split(in.With, ",")
	}
	all, next, err := d.Access.Recordings(ctx, who, f, access.Stretch(in.Stretch))
	return &listed[Recording]{Next: next, Body: each(all, d.digested)}, err
}

// moment reads a time, or a day with something added.
func moment(s string, add time.Duration) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t.Add(add), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, &session.Error{Kind: session.Invalid, Message: "That is no time to filter by.", Next: "Write 2026-05-04 or 2026-05-04T12:00:00Z.", Err: err}
	}
	return t, nil
}

// verifyRecording has the broker look for itself, and keeps what it finds.
func (d *door) verifyRecording(ctx context.Context, who signedIn, in *byID) (*of[Verdict], error) {
	r, err := d.Access.Recording(ctx, who, in.ID)
	if err != nil {
		return nil, err
	}
	if !d.rates.checks.Allow(who.Iss+"\n"+who.Sub, d.Now()) {
		return nil, errTooFast
	}
	v, err := d.Vault.Check(ctx, r.Site, r.ID)
	if err != nil {
		return nil, err
	}
	v, err = d.Access.NoteVerdict(ctx, r.Site, r.ID, v)
	d.Log.Info("recording checked", "recording", r.ID, "user", who.Sub, "issuer", who.Iss, "verdict", v.Verdict)
	return answer(v), err
}
