package access

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// Words of a filter that a recording can be asked to have.
const (
	WithFiles      = "files"      // files were moved
	WithKilled     = "killed"     // somebody at the hospital ended it
	WithTorn       = "torn"       // the recorder was lost
	WithUnreviewed = "unreviewed" // it is over and nobody has reviewed it
	WithStuck      = "stuck"      // parts of it cannot be stored
)

// Filter says which recordings are wanted. The zero Filter wants all.
type Filter struct {
	Asset     string // SITE/ASSET, or ASSET of any site
	Engineer  string // part of an e-mail address or a name, or a whole subject
	WorkOrder string // part of it
	From      time.Time
	To        time.Time
	With      []string // every one of them
}

// Recordings lists recordings that the caller may know of and that fit, the one of which
// the broker heard last first. A search that looks at a great many answers with what it
// has found, and says where to go on.
func (a *Access) Recordings(ctx context.Context, c Caller, f Filter, s Stretch) (all []Recording, next string, err error) {
	if err := f.check(); err != nil {
		return nil, "", err
	}
	index := ""
	if slices.Contains(f.With, WithStuck) {
		index = stuckOf
	}
	next, err = a.page(ctx, recordingKind, places(c, index), s, func(d store.Doc) (bool, error) {
		x, err := decodeRecording(d)
		ok := err == nil && x.seenBy(c) && f.fits(x)
		if ok {
			all = append(all, x.view())
		}
		return ok, err
	})
	return all, next, err
}

// check refuses a filter that cannot be meant.
func (f Filter) check() error {
	wrong := func(what string) error {
		return refusal(session.Invalid, "See sallyport recordings ls --help.", "The recordings cannot be filtered by this %s.", what)
	}
	for _, w := range f.With {
		if !slices.Contains([]string{WithFiles, WithKilled, WithTorn, WithUnreviewed, WithStuck}, w) {
			return wrong("property")
		}
	}
	if f.Asset != "" {
		if _, err := session.ParseAsset(f.Asset); err != nil {
			return err
		}
	}
	switch {
	case len(f.Engineer) > maxText || !wording.Plain(f.Engineer):
		return wrong("engineer")
	case len(f.WorkOrder) > maxText || !wording.Plain(f.WorkOrder):
		return wrong("work order")
	}
	return nil
}

func (f Filter) fits(v recording) bool {
	switch {
	case f.Asset != "" && !f.names(v),
		f.WorkOrder != "" && !holds(v.WorkOrder, f.WorkOrder),
		!f.From.IsZero() && v.Started.Before(f.From),
		!f.To.IsZero() && !v.Started.Before(f.To),
		f.Engineer != "" && !holds(v.Engineer.Email, f.Engineer) && !holds(v.Engineer.Name, f.Engineer) && v.Engineer.Sub != f.Engineer:
		return false
	}
	return !slices.ContainsFunc(f.With, func(w string) bool { return !v.with(w) })
}

// names reports whether the filter's scanner is a recording's.
func (f Filter) names(v recording) bool {
	asset, err := session.ParseAsset(f.Asset)
	return err == nil && asset.Names(session.Target{Site: v.Site, Asset: v.Asset})
}

func holds(text, part string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(part))
}

// with reports whether a recording has a property. One whose digest is not known has no files.
func (v recording) with(word string) bool {
	switch word {
	case WithFiles:
		return v.Digest != nil && v.Digest.FilesIn+v.Digest.FilesOut > 0
	case WithKilled:
		return v.ended() == session.KilledLocal || v.ended() == session.KilledRemote || v.ended() == session.RevokedGrant
	case WithTorn:
		return v.state() == "torn"
	case WithUnreviewed:
		return v.state() != "live" && len(v.Reviews) == 0
	case WithStuck:
		return v.Stuck != nil
	}
	return false
}
