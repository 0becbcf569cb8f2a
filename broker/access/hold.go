package access

import (
	"context"
	"slices"
	"time"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// viaBroker is the cause of a freeze that came through here. Only it is lifted here.
const viaBroker = "broker"

// revocation is a grant that was taken back.
type revocation struct {
	At     time.Time      `json:"at"`
	By     session.Person `json:"by"`
	Reason string         `json:"reason"`
}

// Freeze stops what an engineer types at the agent's gate, by an approver of the
// site; what the scanner shows goes on, and so does the clock. The agent's yes means
// that nothing more passes.
func (a *Access) Freeze(ctx context.Context, c Caller, id string) (Session, error) {
	return a.hold(ctx, c, id, link.DeliverFreeze, func(causes []string) []string {
		if slices.Contains(causes, viaBroker) {
			return causes
		}
		return append(causes, viaBroker)
	})
}

// Thaw lifts a freeze that came through the broker. Other causes stay.
func (a *Access) Thaw(ctx context.Context, c Caller, id string) (Session, error) {
	return a.hold(ctx, c, id, link.DeliverThaw, func(causes []string) []string {
		return slices.DeleteFunc(causes, func(s string) bool { return s == viaBroker })
	})
}

func (a *Access) hold(ctx context.Context, c Caller, id string, verb link.Delivery, change func([]string) []string) (Session, error) {
	r, err := a.granted(ctx, c, id)
	if err != nil {
		return Session{}, err
	}
	if !c.Is(session.Approver) || !c.At(r.doc.Site) {
		return Session{}, refusal(session.Denied, "Ask an approver of the hospital.", "Only the hospital's approvers freeze and thaw sessions.")
	}
	unreported := r.Session.Opened.IsZero() // it may be open all the same: the agent knows
	switch {
	case unreported && r.status(a.now()) != session.Approved, !unreported && r.session(a.now()).State == session.Ended:
		return Session{}, refusal(session.Expired, "There is nothing to hold.", "The session is over.")
	case !a.agents.Online(r.doc.Site, r.Agent):
		return Session{}, unheld(r.doc.Site, id, verb, nil)
	}
	by := c.Who()
	v, err := a.agents.Deliver(ctx, r.doc.Site, r.Agent, link.Deliver{Kind: verb, ID: id, By: &by})
	if err != nil {
		return Session{}, unheld(r.doc.Site, id, verb, err)
	}
	if !v.OK {
		return Session{}, said(v)
	}
	ctx = context.WithoutCancel(ctx)
	if verb == link.DeliverFreeze {
		a.owe(ctx, r.event(witness.Froze, by, nil))
	} else if err := a.enter(ctx, r.event(witness.Thawed, by, nil)); err != nil {
		return Session{}, err
	}
	held, err := a.edit(ctx, r.id, func(r *record) error {
		r.Session.Frozen = change(r.Session.Frozen)
		return nil
	})
	if err != nil { // the agent does it all the same, and its report says so
		a.log.Warn("what the agent holds is not on record yet", "verb", verb, "session", id, "err", err)
		r.Session.Frozen = change(r.Session.Frozen)
	} else {
		r = held
	}
	a.log.Info("session held", "verb", verb, "session", id, "user", by.Sub)
	s := r.session(a.now())
	if s.Opened.IsZero() { // the agent's report is on its way
		s.State, s.Ended, s.Frozen = session.Live, nil, list(r.Session.Frozen)
		if len(s.Frozen) > 0 {
			s.State = session.Frozen
		}
	}
	return s, nil
}

// unheld says that a freeze did not arrive, and who can do it now.
func unheld(site, id string, verb link.Delivery, err error) error {
	return &session.Error{Kind: session.Unreachable, Err: err,
		Message: "The agent at " + site + " is not connected; nothing was changed.",
		Next:    "The hospital can do it on the agent itself: sallyport-agent " + string(verb) + " " + id + "."}
}

// Revoke takes an approval back, opened or not, by an approver of its site. The fact
// comes first: from then on nobody gets through here. A session that is open ends
// when the agent hears of it; an agent that is away is told when it comes back.
func (a *Access) Revoke(ctx context.Context, c Caller, id string, reason string) (Request, error) {
	r, err := a.mayDecide(ctx, c, id)
	if err != nil {
		return Request{}, err
	}
	if !sentence(reason, maxDenial) {
		return Request{}, refusal(session.Invalid, "Say why in one line.",
			"Taking an approval back needs a reason of one plain line, at most %d characters.", maxDenial)
	}
	taken := revocation{At: a.utc(), By: c.Who(), Reason: reason}
	trial := r
	if err := trial.revoke(taken, a.now()); err != nil {
		return Request{}, err
	}
	a.owe(ctx, r.event(witness.Revoked, c.Who(), nil))
	r, err = a.edit(ctx, r.id, func(r *record) error {
		return r.revoke(taken, a.now())
	})
	if err != nil {
		return Request{}, err
	}
	a.notify(ctx, NoticeRevoked, r, c.Who())
	a.log.Info("revoked", "request", id, "user", c.Who().Sub, "target", r.target())
	if r, err = a.enforce(ctx, r); err != nil {
		return Request{}, err
	}
	return r.view(a.now()), nil
}

// revoke notes that a grant was taken back and that the agent has to hear of it.
func (r *record) revoke(x revocation, now time.Time) error {
	switch s := r.status(now); {
	case r.extension() && s != session.Pending:
		return refusal(session.Refused, "Revoke the session itself.", "An extension that was used cannot be taken back.")
	case s == session.Pending:
		return refusal(session.Refused, "Deny it with sallyport deny.", "This request was not approved yet.")
	case s == session.Revoked && r.Owed != nil: // tell the agent again
	case s != session.Approved:
		return refusal(session.Refused, "There is nothing to take back.", "This request is over.")
	default:
		r.Answer.Revoked = &x
		r.Owed = &debt{Reason: session.RevokedGrant, Revoke: true, By: x.By}
	}
	return nil
}

// enforce tells the agent of a revocation at once, and notes that it obeyed.
func (a *Access) enforce(ctx context.Context, r record) (record, error) {
	ctx = context.WithoutCancel(ctx) // a caller that hangs up does not keep the door open
	id := r.sessionID().Session()
	if !a.agents.Online(r.doc.Site, r.Agent) {
		return r, later(r.doc.Site, id, nil)
	}
	v, err := a.agents.Deliver(ctx, r.doc.Site, r.Agent, link.Deliver{Kind: link.DeliverRevoke, ID: id, By: &r.Answer.Revoked.By})
	if err != nil {
		return r, later(r.doc.Site, id, err)
	}
	owed := r.Owed
	r, err = a.edit(ctx, r.id, func(r *record) error {
		if r.Owed != nil && owed != nil && *r.Owed == *owed {
			r.Owed = nil
		}
		if v.OK && r.Session.Ended.IsZero() {
			r.Session.Ended, r.Session.Reason = a.utc(), session.RevokedGrant
		}
		return nil
	})
	if err == nil && !v.OK {
		err = said(v)
	}
	return r, err
}
