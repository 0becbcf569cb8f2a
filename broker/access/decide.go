package access

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/link"
)

// Approve takes one approver's grant: pinned, delivered, and recorded as the agent
// counts it. admitted says that the quorum is complete. Approving again with the
// same bytes and token changes nothing.
func (a *Access) Approve(ctx context.Context, c Caller, id string, raw []byte, p grant.Proof) (Request, bool, error) {
	r, err := a.mayDecide(ctx, c, id)
	if err != nil {
		return Request{}, false, err
	}
	if r.approvedWith(raw, p) {
		return r.view(a.now()), !r.Answer.Granted.IsZero(), nil
	}
	if err := a.decidable(ctx, r); err != nil {
		return Request{}, false, err
	}
	g, err := grant.ParseGrant(raw)
	var asset scanner
	if err == nil {
		asset, err = a.asset(ctx, r.doc.Site, r.doc.Asset)
	}
	if err == nil {
		err = checkGrant(g, r, asset.Asset, a.now())
	}
	if err == nil {
		err = checkProof(p)
	}
	if err != nil {
		return Request{}, false, err
	}
	if !a.agents.Online(r.doc.Site, r.Agent) {
		return Request{}, false, silent(r.doc.Site, nil)
	}
	leave, err := a.asking.turn(ctx, c.Who().Identity, desk{r.doc.Site, r.Agent, true})
	if err != nil {
		return Request{}, false, err
	}
	defer leave()
	if mine, err := a.point(ctx, grantKind, g.GID, r.id, a.untilAfter(time.Unix(r.doc.EXP, 0))); err != nil {
		return Request{}, false, err
	} else if !mine {
		return Request{}, false, refusal(session.Refused, "Approve it again with sallyport approve.", "The grant's id was used before.")
	}
	if err := a.pin(ctx, c, r.id, raw); err != nil {
		return Request{}, false, err
	}
	v, err := a.agents.Deliver(ctx, r.doc.Site, r.Agent,
		link.Deliver{Kind: link.DeliverApproval, Request: r.Request, Grant: raw, Token: p.Token, Salt: p.Salt})
	leave()
	if err != nil {
		return Request{}, false, silent(r.doc.Site, err) // the pin stays: the agent may have said yes
	}
	if !v.OK {
		if err := a.unpin(ctx, r.id, raw); err != nil {
			a.log.Warn("a refused grant stays pinned", "request", id, "err", err)
		}
		return Request{}, false, said(v)
	}
	return a.approved(ctx, c.Who(), r.id, raw, proof{Token: p.Token, Salt: p.Salt}, v)
}

// mayDecide loads a request for somebody who decides about it.
func (a *Access) mayDecide(ctx context.Context, c Caller, id string) (record, error) {
	if !c.Is(session.Approver) {
		return record{}, refusal(session.Denied, "Ask the hospital's approvers.", "Only the hospital's approvers decide about requests.")
	}
	r, err := a.load(ctx, c, id)
	if err != nil {
		return record{}, err
	}
	if !c.At(r.doc.Site) {
		return record{}, unknownRequest(r.id)
	}
	if c.Who().Identity == r.Engineer.Identity {
		return record{}, refusal(session.Denied, "Somebody else has to decide.", "You asked for this yourself.")
	}
	return r, nil
}

// stillOpen refuses to decide what is decided.
func stillOpen(r record, now time.Time) error {
	const next = "See sallyport request show."
	switch s := r.status(now); s {
	case session.Pending:
		return nil
	case session.Lapsed:
		return refusal(session.Expired, "The engineer has to ask again.", "The window of this request is over.")
	case session.Withdrawn:
		return refusal(session.Refused, next, "The engineer took this request back.")
	case session.DeniedBy:
		return refusal(session.Refused, next, "This request was denied already.")
	default:
		return refusal(session.Refused, next, "This request was approved already.")
	}
}

// approvedBy reports whether this very proof is among those of the grant.
func (r record) approvedBy(raw []byte, p proof) bool {
	return string(r.Answer.Grant) == string(raw) && slices.ContainsFunc(r.Answer.Approvals, func(o proof) bool {
		return o.Token == p.Token && string(o.Salt) == string(p.Salt) && bytes.Equal(o.Passkey, p.Passkey) && (p.Token != "" || o.By.Identity == p.By.Identity)
	})
}

// keep puts a proof beside the others; what the same person gave beside a passkey is one.
func (x *answer) keep(p proof) {
	i := slices.IndexFunc(x.Approvals, func(o proof) bool { return o.By.Identity == p.By.Identity })
	if i < 0 || len(p.Passkey)+len(x.Approvals[i].Passkey) == 0 {
		x.Approvals = append(x.Approvals, p)
		return
	}
	if p.Token == "" {
		p.Token, p.Salt, p.Class = x.Approvals[i].Token, x.Approvals[i].Salt, x.Approvals[i].Class
	}
	if len(p.Passkey) == 0 {
		p.Passkey, p.Here = x.Approvals[i].Passkey, x.Approvals[i].Here
	}
	if len(p.Groups) == 0 {
		p.Groups = x.Approvals[i].Groups
	}
	x.Approvals[i] = p
}

// approvedWith reports whether an approval by this token is on record.
func (r record) approvedWith(raw []byte, p grant.Proof) bool {
	return string(r.Answer.Grant) == string(raw) &&
		slices.ContainsFunc(r.Answer.Approvals, func(x proof) bool { return x.Token == p.Token })
}

// pin makes raw the only grant that this request can get.
func (a *Access) pin(ctx context.Context, c Caller, id session.ID, raw []byte) error {
	_, err := a.edit(ctx, id, func(r *record) error {
		if err := stillOpen(*r, a.now()); err != nil {
			return err
		}
		if slices.ContainsFunc(r.Answer.Approvals, func(p proof) bool {
			return p.By.Identity == c.Who().Identity && p.half(r.Passkeys) != "sign-in"
		}) {
			return refusal(session.Refused, "Another approver has to approve it too.", "You have approved this already.")
		}
		if pinned, ok := r.grant(); ok && string(r.Answer.Grant) != string(raw) {
			if len(r.Answer.Approvals) > 0 || a.now().Unix() < pinned.EXP {
				return refusal(session.Refused, "Run sallyport approve again: it shows the terms that were approved.",
					"Another approver approved other terms.")
			}
			r.Answer.InFlight = 0
		}
		if a.now().Sub(r.Answer.Delivered) > answerDue {
			r.Answer.InFlight = 0 // whoever waited for those answers is gone, perhaps with a broker that died
		}
		r.Answer.Grant, r.Answer.Delivered = raw, a.utc()
		r.Answer.InFlight++
		return nil
	})
	return err
}

// unpin makes room after the agent refused a grant, unless somebody approved it or
// an answer about it is still out.
func (a *Access) unpin(ctx context.Context, id session.ID, raw []byte) error {
	_, err := a.edit(ctx, id, func(r *record) error {
		if string(r.Answer.Grant) != string(raw) {
			return nil
		}
		r.Answer.InFlight--
		if r.Answer.InFlight <= 0 && len(r.Answer.Approvals) == 0 && r.Answer.Granted.IsZero() {
			r.Answer.Grant, r.Answer.InFlight = nil, 0
		}
		return nil
	})
	return err
}

// approved records the agent's yes. If the request was denied or withdrawn in the
// meantime, that wins: the agent is told to take the grant back.
func (a *Access) approved(ctx context.Context, by session.Person, id session.ID, raw []byte, p proof, v link.Verdict) (Request, bool, error) {
	ctx = context.WithoutCancel(ctx) // the agent said yes; a caller that hangs up does not undo it
	if err := a.enterApproval(ctx, by, id, raw, p, v); err != nil {
		return Request{}, false, err // the pin stays: approving again finds the agent's yes
	}
	if g, err := grant.ParseGrant(raw); err != nil {
		return Request{}, false, err
	} else if err := a.lasting(ctx, grantKind, g.GID, id, 0); err != nil {
		return Request{}, false, err
	}
	late := false
	enter := func(r *record) error {
		if string(r.Answer.Grant) != string(raw) {
			return session.Errorf(session.Internal, "the pinned grant of %s changed under an approval", id.Request())
		}
		if late = false; r.approvedBy(raw, p) {
			return nil
		}
		r.Answer.InFlight--
		late = !r.Answer.Denied.IsZero() || !r.Answer.Withdrawn.IsZero()
		if late {
			r.Owed = &debt{By: by}
			return nil
		}
		p.By, p.Received, p.Class = by, a.received(v), session.Console
		if p.Token != "" {
			p.Class = a.classOf(p.Token)
		}
		r.Answer.keep(p)
		r.Answer.Count = max(r.Answer.Count, v.Count)
		r.Answer.Needed = max(v.Needed, 1)
		if v.Admitted && r.Answer.Granted.IsZero() {
			r.Answer.Granted = a.utc()
			r.used()
		}
		return nil
	}
	r, err := a.edit(ctx, id, enter)
	for try := 1; try < 3 && session.KindOf(err) == session.Unreachable; try++ {
		r, err = a.edit(ctx, id, enter)
	}
	if err != nil {
		return Request{}, false, err
	}
	if late {
		a.settle(ctx, r)
		return Request{}, false, stillOpen(r, a.now())
	}
	if v.Admitted && r.extension() {
		a.extended(ctx, r)
	}
	if v.Admitted && !r.Answer.Granted.IsZero() {
		a.notify(ctx, NoticeApproved, r, by)
	}
	a.log.Info("approval", "request", id.Request(), "user", by.Sub, "target", r.target(), "admitted", v.Admitted)
	return r.view(a.now()), !r.Answer.Granted.IsZero(), nil
}

// enterApproval writes an approval into the audit log, and the grant that it completed.
func (a *Access) enterApproval(ctx context.Context, by session.Person, id session.ID, raw []byte, p proof, v link.Verdict) error {
	r, err := a.fetch(ctx, id)
	if err != nil {
		return err
	}
	g, err := grant.ParseGrant(raw)
	if err != nil {
		return err
	}
	details := map[string]string{"document": hashed(string(raw)), "approvals": strconv.Itoa(v.Count), "needed": strconv.Itoa(v.Needed)}
	if name := p.passkey(); name != "" {
		details["passkey"], details["signed-in"] = name, strconv.FormatBool(p.Token != "")
	}
	if p.Here {
		details["told-by"], details["where"] = "the agent's report", "the agent's own page"
	}
	events := []witness.Event{r.event(witness.Approved, by, details)}
	if v.Admitted {
		events = append(events, r.event(witness.Granted, session.Person{}, details))
	}
	for i := range events {
		if gid, err := session.ParseText(g.GID); err == nil {
			events[i].Session = gid.Session()
		}
	}
	return a.enter(ctx, events...)
}

// Deny says no, with a reason that the engineer reads.
func (a *Access) Deny(ctx context.Context, c Caller, id string, reason string) (Request, error) {
	r, err := a.mayDecide(ctx, c, id)
	if err != nil {
		return Request{}, err
	}
	if err := explained(reason); err != nil {
		return Request{}, err
	}
	r, err = a.close(ctx, r.id, c.Who(), witness.Denied, a.denial(c.Who(), reason))
	if err != nil {
		return Request{}, err
	}
	a.notify(ctx, NoticeDenied, r, c.Who())
	return r.view(a.now()), nil
}

// explained refuses a denial without a reason.
func explained(reason string) error {
	if sentence(reason, maxDenial) {
		return nil
	}
	return refusal(session.Invalid, "Say why in one line, for example: scanner in use until 15:00.",
		"A denial needs a reason of one plain line, at most %d characters.", maxDenial)
}

// denial is what saying no changes of a request.
func (a *Access) denial(by session.Person, reason string) func(*record) error {
	return func(r *record) error {
		if err := stillOpen(*r, a.now()); err != nil {
			return err
		}
		r.Answer.Denied, r.Answer.DeniedBy, r.Answer.DenyReason = a.utc(), by, reason
		return nil
	}
}

// Withdraw takes a request back, by its engineer, as long as nothing was opened.
func (a *Access) Withdraw(ctx context.Context, c Caller, id string) (Request, error) {
	r, err := a.load(ctx, c, id)
	if err != nil {
		return Request{}, err
	}
	if c.Who().Identity != r.Engineer.Identity {
		return Request{}, refusal(session.Denied, "Deny it instead.", "Only its engineer takes a request back.")
	}
	r, err = a.close(ctx, r.id, c.Who(), witness.Withdrawn, func(r *record) error {
		switch s := r.status(a.now()); {
		case s == session.Pending, s == session.Approved && r.Session.Opened.IsZero():
			r.Answer.Withdrawn = a.utc()
			return nil
		case s == session.Approved:
			return refusal(session.Refused, "End it with sallyport sessions kill "+r.sessionID().Session()+".",
				"The session of this request is open.")
		default:
			return refusal(session.Refused, "There is nothing to take back.", "This request is over.")
		}
	})
	if err != nil {
		return Request{}, err
	}
	return r.view(a.now()), nil
}

// close records that a request is over and tells the agent, now or later.
func (a *Access) close(ctx context.Context, id session.ID, by session.Person, what string, change func(*record) error) (record, error) {
	r, err := a.conclude(ctx, id, by, what, change)
	if err == nil {
		a.settle(ctx, r)
	}
	return r, err
}

// conclude records that a request is over; the agent is owed the news.
func (a *Access) conclude(ctx context.Context, id session.ID, by session.Person, what string, change func(*record) error) (record, error) {
	before, err := a.fetch(ctx, id)
	if err != nil {
		return record{}, err
	}
	event := before.event(what, by, nil)
	if err := change(&before); err != nil { // what is refused anyway is no event
		return record{}, err
	}
	a.owe(ctx, event)
	r, err := a.edit(ctx, id, func(r *record) error {
		if err := change(r); err != nil {
			return err
		}
		r.Owed = &debt{By: by}
		return nil
	})
	if err == nil {
		a.dropKeys(ctx, r)
	}
	return r, err
}
