package access

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/link"
)

// Submit takes an engineer's request: checked, delivered to the site's agent, and
// stored when the agent has it. The same bytes again are the same request.
func (a *Access) Submit(ctx context.Context, c Caller, raw []byte, p grant.Proof) (Request, error) {
	doc, asset, err := a.acceptable(ctx, c, raw, p)
	if err != nil {
		return Request{}, err
	}
	id, err := session.ParseText(doc.RID)
	if err != nil {
		return Request{}, err
	}
	old, err := a.fetch(ctx, id)
	if err == nil {
		return a.again(ctx, old, c, raw)
	}
	if !errors.Is(err, ErrUnknown) {
		return Request{}, err
	}
	if !asset.Online {
		return Request{}, silent(doc.Site, nil)
	}
	leave, err := a.asking.turn(ctx, doc.Eng, desk{site: doc.Site, agent: asset.Agent})
	if err != nil {
		return Request{}, err
	}
	defer leave()
	if err := a.share(ctx, doc.Eng, doc.Site); err != nil {
		return Request{}, err
	}
	if err := a.pointKey(ctx, doc.Key, id); err != nil {
		return Request{}, err
	}
	v, err := a.agents.Deliver(ctx, doc.Site, asset.Agent, link.Deliver{Kind: link.DeliverRequest, Request: raw, Token: p.Token, Salt: p.Salt})
	leave()
	if err != nil {
		return Request{}, silent(doc.Site, err)
	}
	if !v.OK {
		return Request{}, said(v)
	}
	return a.keep(ctx, c, raw, record{
		Request: raw, Engineer: c.Who(), Agent: asset.Agent, Identity: asset.Identity, Created: a.utc(),
		Proof:  proof{By: c.Who(), Token: p.Token, Salt: p.Salt, Received: a.received(v), Class: a.classOf(p.Token)},
		Quorum: asset.Policy.Quorum, Passkeys: asset.Policy.ConsoleKeys,
		Answer: answer{Needed: max(v.Needed, asset.Policy.Approvals, 1)}, doc: doc, id: id,
	})
}

// pointKey lets a key find its request, if there is a key and no other has it: for no longer
// than the agent may take to answer. What it refuses leaves nothing behind.
func (a *Access) pointKey(ctx context.Context, key string, id session.ID) error {
	if key == "" {
		return nil
	}
	mine, err := a.point(ctx, keyKind, key, id, untaken)
	if err == nil && !mine {
		err = refusal(session.Refused, "Ask again with sallyport request new, which makes a key of its own.",
			"The key belongs to another request.")
	}
	return err
}

// keepKey lets a key of a request that the agent has taken find it until a day after its end.
func (a *Access) keepKey(ctx context.Context, key string, id session.ID, notAfter time.Time) error {
	if key == "" {
		return nil
	}
	return a.lasting(ctx, keyKind, key, id, a.untilAfter(notAfter))
}

// untilAfter is the time until a day after an end.
func (a *Access) untilAfter(end time.Time) time.Duration {
	return min(end.Sub(a.now()), 2*maxAhead) + keysAfter
}

// dropKeys lets the keys of a request that came to nothing end a day from now: until then
// ssh can say why it lets nobody in.
func (a *Access) dropKeys(ctx context.Context, r record) {
	keys := []string{r.doc.Key}
	for _, k := range r.Keys {
		keys = append(keys, k.Key)
	}
	for _, key := range keys {
		if key == "" {
			continue
		}
		if err := a.docs.Expire(ctx, keyKind, hashed(key), keysAfter); err != nil && !errors.Is(err, os.ErrNotExist) {
			a.log.Warn("a key of a request that is over is remembered until the request's window ends", "request", r.id.Request(), "err", err)
		}
	}
}

// acceptable is the courtesy check of a request: the caller's own, for a scanner
// that they may know of, and nothing that its agent is sure to refuse.
func (a *Access) acceptable(ctx context.Context, c Caller, raw []byte, p grant.Proof) (grant.Request, scanner, error) {
	if !c.Is(session.Engineer) {
		return grant.Request{}, scanner{}, refusal(session.Denied, "Sign in as an engineer.", "Only engineers ask for access.")
	}
	doc, err := grant.ParseRequest(raw)
	if err != nil {
		return grant.Request{}, scanner{}, err
	}
	if err := checkProof(p); err != nil {
		return grant.Request{}, scanner{}, err
	}
	if doc.Eng != c.Who().Identity {
		return grant.Request{}, scanner{}, refusal(session.Denied, "Sign in as the engineer who asks.",
			"The request is somebody else's.")
	}
	asset, err := a.asset(ctx, doc.Site, doc.Asset)
	if err == nil && !c.At(doc.Site) {
		err = refusal(session.Invalid, "See sallyport assets.", "%.64s has no scanner %.64s.", doc.Site, doc.Asset)
	}
	if err == nil {
		err = a.allowed(ctx, doc.Site, doc.Eng)
	}
	if err == nil {
		err = checkRequest(doc, asset.Asset, a.now())
	}
	if err == nil && doc.Kind == grant.KindExtension {
		err = a.checkExtension(ctx, doc, asset.Asset)
	}
	return doc, asset, err
}

// share refuses an engineer who has asked for so much that nobody has answered yet, or
// whose colleagues have asked a hospital for so much.
func (a *Access) share(ctx context.Context, who session.Identity, site string) error {
	for _, x := range []struct {
		name string
		most int
		of   string
	}{
		{ofEngineer(who), grant.MaxWaiting, "of your requests wait"},
		{vendorAt(who.Iss, site), grant.MaxVendorWaiting, "requests of your company at " + site + " wait"},
	} {
		n, err := a.pending(ctx, x.name, x.most)
		if err != nil {
			return err
		}
		if n >= x.most {
			return refusal(session.Refused, "Withdraw some with sallyport request withdraw, or wait for the hospitals.",
				"%d %s for an answer, and there can be no more.", n, x.of)
		}
	}
	return nil
}

// pending counts requests that wait for an answer, one by one where they might be too many.
func (a *Access) pending(ctx context.Context, name string, most int) (n int, err error) {
	listed, _, err := a.list.Extent(ctx, requestKind, name+pendingOf)
	if err != nil || int(listed) < most {
		return int(listed), err
	}
	for _, err := range a.all(ctx, name, pendingOf) { // the time of some of them may be over
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// keep stores a request that the agent has.
func (a *Access) keep(ctx context.Context, c Caller, raw []byte, r record) (Request, error) {
	if err := a.enter(ctx, r.event(witness.Requested, c.Who(), map[string]string{
		"services": strings.Join(r.doc.Services, " "), "class": string(r.doc.Class), "document": hashed(string(raw))})); err != nil {
		return Request{}, err
	}
	if err := a.asked(ctx, r); err != nil {
		return Request{}, err
	}
	if err := a.keepKey(ctx, r.doc.Key, r.id, time.Unix(r.doc.EXP, 0)); err != nil {
		return Request{}, err
	}
	twin := false // was quicker, or an earlier try did arrive
	err := a.docs.Put(ctx, requestKind, r.id.Text(), func(old []byte) ([]byte, []store.Under, error) {
		if twin = old != nil; twin {
			return nil, nil, store.ErrExists
		}
		body, err := json.Marshal(r)
		return body, r.under(a.now()), err
	})
	if twin {
		old, err := a.fetch(ctx, r.id)
		if err != nil {
			return Request{}, err
		}
		return a.again(ctx, old, c, raw)
	}
	if err != nil {
		return Request{}, err
	}
	a.usual.forget(r.doc.Site)
	a.log.Info("request", "request", r.id.Request(), "user", r.Engineer.Sub, "target", r.target())
	a.notify(ctx, NoticeAsked, r, session.Person{})
	return r.view(a.now()), nil
}

// again answers a request that is known already. Whoever stored it may have died
// before it was told.
func (a *Access) again(ctx context.Context, old record, c Caller, raw []byte) (Request, error) {
	if string(old.Request) != string(raw) || old.Engineer.Identity != c.Who().Identity {
		return Request{}, refusal(session.Refused, "Ask again with sallyport request new.", "The request's id was used before.")
	}
	if old.status(a.now()) == session.Pending {
		a.notify(ctx, NoticeAsked, old, session.Person{})
	}
	return old.view(a.now()), nil
}

// received is the agent's receipt time, or ours where it gives none.
func (a *Access) received(v link.Verdict) time.Time {
	if v.Received != nil {
		return v.Received.UTC()
	}
	return a.utc()
}

// List lists requests, newest first: an engineer's own, and those of the sites that
// approvers and auditors work for; with pending only those that wait for an answer, with
// approved only those that are granted and not over.
func (a *Access) List(ctx context.Context, c Caller, only session.Status, s Stretch) (all []Request, next string, err error) {
	index, ok := map[session.Status]string{"": "", session.Pending: pendingOf, session.Approved: grantedOf}[only]
	if !ok {
		return nil, "", refusal(session.Invalid, "Ask for those that are pending or approved.", "Requests are not listed by this status.")
	}
	records, next, err := a.records(ctx, c, index, s)
	now := a.now()
	for _, r := range records {
		all = append(all, r.view(now))
	}
	return all, next, err
}

// Get reads one request.
func (a *Access) Get(ctx context.Context, c Caller, id string) (Request, error) {
	r, err := a.load(ctx, c, id)
	if err != nil {
		return Request{}, err
	}
	v := r.view(a.now())
	v.Unwritten = a.unwritten(ctx, c, r)
	return v, nil
}

// Wait reads a request as soon as its status is not the given one, another window
// is proposed, or d is over. A window that ends counts as a change though nothing is written.
func (a *Access) Wait(ctx context.Context, c Caller, id string, while session.Status, d time.Duration) (Request, error) {
	r, err := a.load(ctx, c, id)
	if err != nil {
		return Request{}, err
	}
	until := time.Now().Add(d)
	if ends := r.facts().NotAfter.Sub(a.now()); ends > 0 && ends < d {
		until = time.Now().Add(ends)
	}
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	known := r.Proposal
	for version := uint64(0); ; {
		doc, err := a.list.Wait(ctx, requestKind, r.id.Text(), version)
		if err != nil {
			return Request{}, err
		}
		if r, err = readRecord(doc); err != nil {
			return Request{}, err
		}
		if v := r.view(a.now()); v.Status != while || ctx.Err() != nil || !r.Proposal.same(known) {
			return v, nil
		}
		version = doc.Version
	}
}

// Documents reads the exact bytes and proofs of a request, for its engineer and the site's people.
func (a *Access) Documents(ctx context.Context, c Caller, id string) (Documents, error) {
	r, err := a.load(ctx, c, id)
	if err != nil {
		return Documents{}, err
	}
	d := r.documents()
	if !c.Is(session.Approver) && !c.Is(session.Auditor) {
		// An engineer needs the grant's bytes, to add a key to it; approvers' sign-ins are
		// between them, their consoles and the agent.
		d.Approvals = []Approval{}
	}
	return d, nil
}
