package access

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// Bounds of a search for recordings.
const (
	pageRead  = 250   // documents that are read at a time
	mostRead  = 20000 // documents that one search looks at under one name
	pageUsual = 100   // recordings of one answer
)

// Words of a filter that a recording can be asked to have.
const (
	WithFiles      = "files"      // files were moved
	WithKilled     = "killed"     // somebody at the hospital ended it
	WithTorn       = "torn"       // the recorder was lost
	WithUnreviewed = "unreviewed" // it is over and nobody has reviewed it
)

// Filter says which recordings are wanted. The zero Filter wants all.
type Filter struct {
	Asset     string
	Engineer  string // part of an e-mail address or a name, or a whole subject
	WorkOrder string // part of it
	From      time.Time
	To        time.Time
	With      []string // every one of them
	Limit     int      // at most 500; 0: 100
	Before    string   // where an earlier answer left off
}

// Recordings lists the newest recordings that the caller may know of.
func (a *Access) Recordings(ctx context.Context, c Caller) ([]Recording, error) {
	all, _, err := a.FindRecordings(ctx, c, Filter{Limit: maxListed})
	return all, err
}

// FindRecordings lists recordings that fit, newest first. next is for Before when there
// are more.
func (a *Access) FindRecordings(ctx context.Context, c Caller, f Filter) (all []Recording, next string, err error) {
	if f.Limit == 0 {
		f.Limit = pageUsual
	}
	before, err := f.check()
	if err != nil {
		return nil, "", err
	}
	all, seen := []Recording{}, map[session.ID]bool{}
	for _, name := range recordingNames(c) {
		err := a.eachRecording(ctx, name, c, func(v Recording) {
			if !seen[v.ID] && f.fits(v) && (before == nil || older(v, *before)) {
				seen[v.ID] = true
				all = append(all, v)
			}
			if len(all) > 4*f.Limit+pageRead { // what cannot be on this page is not kept
				all = newest(all, f.Limit+1)
			}
		})
		if err != nil {
			return nil, "", err
		}
	}
	if all = newest(all, f.Limit+1); len(all) > f.Limit {
		all = all[:f.Limit]
		next = placeOf(all[f.Limit-1]).String()
	}
	return all, next, nil
}

// recordingNames are those under which a caller's recordings are listed.
func recordingNames(c Caller) []string {
	var names []string
	if c.Is(session.Engineer) {
		names = append(names, ofEngineer(c.Who().Identity))
	}
	if c.Is(session.Approver) || c.Is(session.Auditor) {
		for _, s := range c.Places() {
			names = append(names, ofSite(s))
		}
	}
	return names
}

// eachRecording calls take with each recording under a name that a caller may know of.
func (a *Access) eachRecording(ctx context.Context, name string, c Caller, take func(Recording)) error {
	for from, more := 0, true; more && from < mostRead; {
		docs, next, err := a.list.PageUnder(ctx, recordingKind, name, from, pageRead)
		if err != nil {
			return err
		}
		for _, d := range docs {
			v, ok, err := showRecording(d, c)
			if err != nil {
				return err
			}
			if ok {
				take(v)
			}
		}
		from, more = next, next > 0
	}
	return nil
}

// showRecording reads a stored recording for a caller.
func showRecording(d store.Doc, c Caller) (Recording, bool, error) {
	id, err := session.ParseText(d.ID)
	if err != nil {
		return Recording{}, false, err
	}
	x, err := readRecording(d.Body, id)
	if err != nil || !x.seenBy(c) {
		return Recording{}, false, err
	}
	v, err := x.view()
	return v, err == nil, err
}

// place is where a recording stands in the list.
type place struct {
	started int64 // microseconds
	id      session.ID
}

func placeOf(v Recording) place { return place{v.Started.UnixMicro(), v.ID} }

func (p place) String() string { return fmt.Sprintf("%d.%s", p.started, p.id.Recording()) }

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.started, q.started), strings.Compare(p.id.Text(), q.id.Text()))
}

func older(v Recording, than place) bool { return placeOf(v).compare(than) < 0 }

func newest(all []Recording, most int) []Recording {
	slices.SortFunc(all, func(x, y Recording) int { return placeOf(y).compare(placeOf(x)) })
	return all[:min(len(all), most)]
}

// check refuses a filter that cannot be meant, and reads where to go on.
func (f Filter) check() (*place, error) {
	wrong := func(what string) error {
		return refusal(session.Invalid, "See sallyport recordings ls --help.", "The recordings cannot be filtered by this %s.", what)
	}
	for _, w := range f.With {
		if !slices.Contains([]string{WithFiles, WithKilled, WithTorn, WithUnreviewed}, w) {
			return nil, wrong("property")
		}
	}
	switch {
	case f.Limit < 1 || f.Limit > maxListed:
		return nil, wrong("number")
	case f.Asset != "" && !session.ValidName(f.Asset):
		return nil, wrong("scanner")
	case len(f.Engineer) > 200 || !wording.Plain(f.Engineer):
		return nil, wrong("engineer")
	case len(f.WorkOrder) > 200 || !wording.Plain(f.WorkOrder):
		return nil, wrong("work order")
	case f.Before == "":
		return nil, nil
	}
	micro, name, _ := strings.Cut(f.Before, ".")
	started, err := strconv.ParseInt(micro, 10, 64)
	id, err2 := session.ParseRecordingID(name)
	if err != nil || err2 != nil {
		return nil, wrong("place to go on")
	}
	return &place{started, id}, nil
}

func (f Filter) fits(v Recording) bool {
	switch {
	case f.Asset != "" && !strings.EqualFold(f.Asset, v.Asset),
		f.WorkOrder != "" && !holds(v.WorkOrder, f.WorkOrder),
		!f.From.IsZero() && v.Started.Before(f.From),
		!f.To.IsZero() && !v.Started.Before(f.To),
		f.Engineer != "" && !holds(v.Engineer.Email, f.Engineer) && !holds(v.Engineer.Name, f.Engineer) && v.Engineer.Sub != f.Engineer:
		return false
	}
	return !slices.ContainsFunc(f.With, func(w string) bool { return !v.with(w) })
}

func holds(text, part string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(part))
}

// with reports whether a recording has a property. One whose digest is not known has no files.
func (v Recording) with(word string) bool {
	switch word {
	case WithFiles:
		return v.Digest != nil && v.Digest.FilesIn+v.Digest.FilesOut > 0
	case WithKilled:
		return v.Reason == session.KilledLocal || v.Reason == session.KilledRemote || v.Reason == session.RevokedGrant
	case WithTorn:
		return v.State == "torn"
	case WithUnreviewed:
		return v.State != "live" && len(v.Reviews) == 0
	}
	return false
}
