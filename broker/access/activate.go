package access

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/link"
)

// joined is a key that an activation added.
type joined struct {
	Key   string `json:"key"`
	Proof proof  `json:"proof"`
}

// has reports whether a key is the request's own or has joined it.
func (r record) has(line string) bool {
	return line != "" && (r.doc.Key == line ||
		slices.ContainsFunc(r.Keys, func(k joined) bool { return k.Key == line }))
}

// opens reports whether a session may open for the first time at a moment: within
// the hour after its request with the request's key, or soon after an activation.
// The agent decides the same by itself.
func (r record) opens(at time.Time) bool {
	if r.doc.Key != "" && !at.After(r.Proof.Received.Add(firstOpen)) {
		return true
	}
	return slices.ContainsFunc(r.Keys, func(k joined) bool { return !at.After(k.Proof.Received.Add(freshFor)) })
}

// Activate adds a key to an approved request, with a fresh proof of its engineer:
// the agent checks it, and from then on the key finds its way here. The same key
// again changes nothing but how fresh the proof is.
func (a *Access) Activate(ctx context.Context, c Caller, id string, key string, p grant.Proof) (Request, error) {
	r, err := a.load(ctx, c, id)
	if err == nil {
		err = a.mayActivate(ctx, c, r, key)
	}
	if err == nil {
		err = checkProof(p)
	}
	if err != nil {
		return Request{}, err
	}
	if !a.agents.Online(r.doc.Site, r.Agent) {
		return Request{}, silent(r.doc.Site, nil)
	}
	leave, err := a.asking.turn(ctx, r.Engineer.Identity, desk{site: r.doc.Site, agent: r.Agent})
	if err != nil {
		return Request{}, err
	}
	defer leave()
	if err := a.pointKey(ctx, key, r.id); err != nil {
		return Request{}, err
	}
	v, err := a.agents.Deliver(ctx, r.doc.Site, r.Agent,
		link.Deliver{Kind: link.DeliverActivate, ID: r.sessionID().Session(), Key: key, Token: p.Token, Salt: p.Salt})
	leave()
	if err != nil {
		return Request{}, silent(r.doc.Site, err)
	}
	if !v.OK {
		return Request{}, said(v)
	}
	ctx = context.WithoutCancel(ctx)
	if err := a.enter(ctx, r.event(witness.Activated, c.Who(), map[string]string{"key": hashed(key)})); err != nil {
		return Request{}, err
	}
	g, _ := r.grant()
	if err := a.keepKey(ctx, key, r.id, time.Unix(g.EXP, 0)); err != nil {
		return Request{}, err
	}
	r, err = a.edit(ctx, r.id, func(r *record) error {
		fresh := joined{Key: key, Proof: proof{By: c.Who(), Token: p.Token, Salt: p.Salt, Received: a.received(v)}}
		r.Keys = append(slices.DeleteFunc(r.Keys, func(k joined) bool { return k.Key == key }), fresh)
		return nil
	})
	if err != nil {
		return Request{}, err
	}
	a.log.Info("activated", "request", id, "user", c.Who().Sub, "target", r.target())
	return r.view(a.now()), nil
}

// mayActivate refuses what no agent would take.
func (a *Access) mayActivate(ctx context.Context, c Caller, r record, key string) error {
	if c.Who().Identity != r.Engineer.Identity {
		return refusal(session.Denied, "Its engineer runs sallyport activate.", "Only its engineer activates a request.")
	}
	if err := a.allowed(ctx, r.doc.Site, r.Engineer.Identity); err != nil {
		return err
	}
	doc := r.doc
	doc.Key = key
	if _, err := doc.Marshal(); err != nil || key == "" {
		return refusal(session.Invalid, "Use sallyport activate, which makes a key.", "That is not a key that can join.")
	}
	if r.extension() {
		return refusal(session.Refused, "Activate the session that it extends.", "An extension needs no key.")
	}
	now := a.at(ctx, r.doc)
	switch r.status(now) {
	case session.Approved:
	case session.Pending:
		return refusal(session.Refused, "Wait for its answer.", "The hospital has not answered yet.")
	default:
		return refusal(session.Expired, "Ask again with sallyport request new.", "This request is over.")
	}
	if g, ok := r.grant(); ok && now.Before(time.Unix(g.NBF, 0).Add(-freshFor)) {
		return refusal(session.Refused, "Activate then: it counts for 15 minutes.", "The window opens at %s.", shown(time.Unix(g.NBF, 0), now))
	}
	n := len(r.Keys)
	if r.doc.Key != "" {
		n++
	}
	if n >= maxKeys && !r.has(key) {
		return refusal(session.Refused, "Use a machine whose key has joined.", "%d keys have joined this request, and there can be no more.", maxKeys)
	}
	return nil
}

// at is now in the time zone of a request's scanner, for people to read.
func (a *Access) at(ctx context.Context, doc grant.Request) time.Time {
	now := a.now().UTC()
	asset, err := a.asset(ctx, doc.Site, doc.Asset)
	if err != nil || asset.Policy.Zone == "" {
		return now
	}
	loc, err := time.LoadLocation(asset.Policy.Zone)
	if err != nil {
		return now
	}
	return now.In(loc)
}

// shown is a moment that is ahead, in now's zone: "18:30 CET (in 2 h)", with the
// day when it is another.
func shown(t, now time.Time) string {
	t = t.In(now.Location())
	layout := "15:04 MST"
	if t.Format(time.DateOnly) != now.Format(time.DateOnly) {
		layout = "2 Jan 15:04 MST"
	}
	left := t.Sub(now).Round(time.Minute)
	switch {
	case left >= 48*time.Hour:
		return fmt.Sprintf("%s (in %d days)", t.Format(layout), int(left.Hours())/24)
	case left >= time.Hour && left%time.Hour == 0:
		return fmt.Sprintf("%s (in %d h)", t.Format(layout), int(left.Hours()))
	case left >= time.Hour:
		return fmt.Sprintf("%s (in %d h %d min)", t.Format(layout), int(left.Hours()), int(left.Minutes())%60)
	case t.Sub(now) < time.Minute:
		return fmt.Sprintf("%s (in %d s)", t.Format(layout), int((t.Sub(now)+time.Second-1)/time.Second))
	}
	return fmt.Sprintf("%s (in %d min)", t.Format(layout), int(left.Minutes()))
}
