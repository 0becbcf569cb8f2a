package access

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/session"
)

// Kinds of things that people hear changes of.
const (
	AboutRequest   = "request"   // R-...
	AboutSession   = "session"   // S-...
	AboutRecording = "recording" // V-...
	AboutAsset     = "asset"     // SITE/ASSET; SITE where it may be any of its assets
	AboutEngineer  = "engineer"  // the subject of somebody disabled or enabled
)

// Followed are the kinds of stored documents whose changes concern people.
func Followed() []string {
	return []string{requestKind, recordingKind, catalogueKind, presenceKind, standingKind}
}

// Subject is a thing of which people hear that it changed, and nothing more.
type Subject struct {
	Kind string
	ID   string
}

// Audience is a change of a stored document: the things it is about, and who may know
// of them. The zero Audience concerns nobody.
type Audience struct {
	subjects []Subject
	seenBy   func(Caller) bool // nil: by nobody
}

// For is what a caller may know of a change with this audience.
func (n Audience) For(c Caller) []Subject {
	if n.seenBy == nil || !n.seenBy(c) {
		return nil
	}
	return slices.Clone(n.subjects)
}

// Audience reads what a change of a stored document is about. The fences are those of
// reading the thing itself: whoever would be told that there is none hears nothing.
// A document that is gone, or of another kind, concerns nobody.
func (a *Access) Audience(ctx context.Context, kind, id string) (Audience, error) {
	var audience func(store.Doc) (Audience, error)
	switch kind {
	case requestKind:
		audience = audienceOfRequest
	case recordingKind:
		audience = audienceOfRecording
	case catalogueKind:
		audience = a.audienceOfCatalogue
	case presenceKind:
		audience = func(d store.Doc) (Audience, error) { return a.audienceOfPresence(ctx, d) }
	case standingKind:
		audience = audienceOfStanding
	default:
		return Audience{}, nil
	}
	d, err := a.docs.Get(ctx, kind, id)
	if errors.Is(err, os.ErrNotExist) {
		return Audience{}, nil
	}
	if err != nil {
		return Audience{}, err
	}
	n, err := audience(d)
	if err != nil {
		return Audience{}, err
	}
	return n, nil
}

// audienceOfRequest is about the request and, once somebody connected or the operator was
// asked about that, its session.
func audienceOfRequest(d store.Doc) (Audience, error) {
	r, err := readRecord(d)
	if err != nil {
		return Audience{}, err
	}
	n := Audience{subjects: []Subject{{AboutRequest, r.id.Request()}}, seenBy: r.seenBy}
	if (!r.Session.Opened.IsZero() || r.Session.Consent != nil) && !r.Answer.Granted.IsZero() && !r.extension() {
		n.subjects = append(n.subjects, Subject{AboutSession, r.sessionID().Session()})
	}
	return n, nil
}

func audienceOfRecording(d store.Doc) (Audience, error) {
	x, err := decodeRecording(d)
	return Audience{subjects: []Subject{{AboutRecording, x.ID}}, seenBy: x.seenBy}, err
}

// audienceOfCatalogue is about one scanner, or about a site: then any of its scanners may
// have come or gone.
func (a *Access) audienceOfCatalogue(d store.Doc) (Audience, error) {
	if !strings.Contains(d.ID, "/") {
		s, err := readSite(d.Body, d.ID)
		if err != nil {
			return Audience{}, err
		}
		return audienceAt(s.Name, nil), nil
	}
	x, err := a.read(d)
	if err != nil {
		return Audience{}, err
	}
	return audienceAt(x.Site, []string{x.Name}), nil
}

// audienceOfPresence is about the assets of the agent that came or went.
func (a *Access) audienceOfPresence(ctx context.Context, d store.Doc) (Audience, error) {
	p, err := readPresence(d)
	if err != nil {
		return Audience{}, err
	}
	s, err := a.site(ctx, p.Site)
	if err != nil || len(s.Agents) == 0 {
		return Audience{}, err // it has announced nothing
	}
	return audienceAt(p.Site, s.Agents[p.Agent].Assets), nil
}

// audienceAt is the audience of everybody who may list a site's assets.
func audienceAt(site string, assets []string) Audience {
	all := []Subject{}
	for _, name := range assets {
		all = append(all, Subject{AboutAsset, session.Target{Site: site, Asset: name}.String()})
	}
	if len(all) == 0 {
		all = append(all, Subject{AboutAsset, site})
	}
	return Audience{subjects: all, seenBy: func(c Caller) bool { return hasRole(c) && c.At(site) }}
}

// audienceOfStanding is for those who may list a site's engineers, and for the one
// whom it is about.
func audienceOfStanding(d store.Doc) (Audience, error) {
	s, err := readStanding(d.Body)
	if err != nil || s.At.IsZero() { // they asked, and that is told of the request
		return Audience{}, err
	}
	return Audience{subjects: []Subject{{AboutEngineer, s.Person.Sub}}, seenBy: func(c Caller) bool {
		return c.Is(session.Approver) && c.At(s.Site) || c.Is(session.Engineer) && c.Who().Identity == s.Person.Identity
	}}, nil
}

// hasRole reports whether a caller may read anything at all.
func hasRole(c Caller) bool {
	return c.Is(session.Engineer) || c.Is(session.Approver) || c.Is(session.Auditor)
}
