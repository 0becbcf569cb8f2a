package access

import (
	"context"
	"slices"
	"time"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/link"
)

// Watch hands the agent somebody's token by which a key may watch a live session; until is
// when that is over, as the agent says. The broker itself lets nobody watch.
func (a *Access) Watch(ctx context.Context, c Caller, id, key string, p grant.Proof) (until time.Time, err error) {
	r, err := a.watchable(ctx, c, id)
	if err == nil {
		err = checkProof(p)
	}
	if err != nil {
		return time.Time{}, err
	}
	if key == "" || len(key) > 512 {
		return time.Time{}, refusal(session.Invalid, "Use sallyport sessions watch, or the live board.", "That is not a key that can watch.")
	}
	leave, err := a.asking.turn(ctx, c.Who().Identity, desk{r.doc.Site, r.Agent, true})
	if err != nil {
		return time.Time{}, err
	}
	defer leave()
	v, err := a.agents.Deliver(ctx, r.doc.Site, r.Agent, link.Deliver{Kind: link.DeliverWatch, ID: id, Key: key, Token: p.Token, Salt: p.Salt})
	if err != nil {
		return time.Time{}, silent(r.doc.Site, err)
	}
	if !v.OK {
		return time.Time{}, said(v)
	}
	if v.Until == nil {
		return time.Time{}, session.Errorf(session.Internal, "access: a leave to watch without an end")
	}
	return v.Until.UTC(), nil
}

// WatchRoute finds the way to a service of a live session for somebody of its hospital. It
// is no engineer's: whether they may watch, the agent knows.
func (a *Access) WatchRoute(ctx context.Context, c Caller, id, service string) (Route, error) {
	r, err := a.watchable(ctx, c, id)
	if err != nil {
		return Route{}, err
	}
	if g, ok := r.grant(); !ok || !slices.Contains(g.Services, service) {
		return Route{}, refusal(session.Invalid, "Watch one of its services.", "This session has no service %.64s.", service)
	}
	return Route{Site: r.doc.Site, Agent: r.Agent, Asset: r.doc.Asset, Service: service, Session: r.sessionID(), Request: r.id}, nil
}

// watchable finds a session that lives, for somebody who may watch it.
func (a *Access) watchable(ctx context.Context, c Caller, id string) (record, error) {
	r, err := a.granted(ctx, c, id)
	if err != nil {
		return record{}, err
	}
	if !c.At(r.doc.Site) || !c.Is(session.Approver) && !c.Is(session.Auditor) {
		return record{}, refusal(session.Denied, "Ask an approver or auditor of the hospital.", "Only the hospital's people watch sessions.")
	}
	switch {
	case r.Session.Opened.IsZero():
		return record{}, refusal(session.Expired, "Wait until its engineer connects.", "Nobody has connected under this approval.")
	case r.session(a.now()).State == session.Ended:
		return record{}, refusal(session.Expired, "Replay its recordings.", "The session is over.")
	case !a.agents.Online(r.doc.Site, r.Agent):
		return record{}, silent(r.doc.Site, nil)
	}
	return r, nil
}

// NoteWatching writes down that somebody begins to watch, before they do.
func (a *Access) NoteWatching(ctx context.Context, c Caller, to Route) error {
	r, err := a.fetch(ctx, to.Request)
	if err != nil {
		return err
	}
	return a.enter(ctx, r.event(witness.WatchBegan, c.Who(), map[string]string{"service": to.Service}))
}

// NoteWatched writes down for how long they did. It waits for no log.
func (a *Access) NoteWatched(ctx context.Context, c Caller, to Route, lasted time.Duration) {
	if r, err := a.fetch(ctx, to.Request); err == nil {
		a.owe(ctx, r.event(witness.WatchEnded, c.Who(), map[string]string{"service": to.Service, "lasted": lasted.Round(time.Second).String()}))
	}
}
