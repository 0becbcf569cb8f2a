package access

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// proposal is another window that an approver would rather see. It decides nothing:
// the engineer takes it by a new request, or waits.
type proposal struct {
	From   time.Time      `json:"from"`
	Until  time.Time      `json:"until"`
	Reason string         `json:"reason,omitempty"`
	By     session.Person `json:"by"`
	At     time.Time      `json:"at"`
}

func (p *proposal) same(q *proposal) bool {
	return p == q || p != nil && q != nil && *p == *q
}

// Propose answers a request with another window, in place of what was proposed before.
func (a *Access) Propose(ctx context.Context, c Caller, id string, p Proposal) (Request, error) {
	r, err := a.mayDecide(ctx, c, id)
	if err != nil {
		return Request{}, err
	}
	p.From, p.Until = p.From.UTC().Truncate(time.Second), p.Until.UTC().Truncate(time.Second)
	now := a.now()
	switch {
	case r.doc.Kind != grant.KindSession:
		return Request{}, refusal(session.Refused, "Approve or deny it.", "A running session cannot have another window.")
	case !p.Until.After(now) || !p.Until.After(p.From):
		return Request{}, refusal(session.Invalid, "Give a window that lies ahead.", "The window that you propose is over, or ends before it begins.")
	case p.Reason != "" && !sentence(p.Reason, maxDenial):
		return Request{}, refusal(session.Invalid, "Leave it out, or write one line.", "The reason is one plain line, at most %d characters.", maxDenial)
	}
	asset, err := a.asset(ctx, r.doc.Site, r.doc.Asset)
	if err == nil {
		var offer grant.Offer
		if offer, err = grant.Offers(asset.Asset, r.doc.Services); err == nil {
			err = offer.Opens(p.From.Unix(), p.Until.Unix(), now)
		}
	}
	if err != nil {
		return Request{}, err
	}
	window := map[string]string{"from": p.From.Format(time.RFC3339), "until": p.Until.Format(time.RFC3339)}
	if err := a.enter(ctx, r.event(witness.Proposed, c.Who(), window)); err != nil {
		return Request{}, err
	}
	r, err = a.edit(ctx, r.id, func(r *record) error {
		if err := stillOpen(*r, a.now()); err != nil {
			return err
		}
		r.Proposal = &proposal{From: p.From, Until: p.Until, Reason: p.Reason, By: c.Who(), At: a.utc()}
		return nil
	})
	if err != nil {
		return Request{}, err
	}
	a.notify(ctx, NoticeProposed, r, c.Who())
	a.log.Info("another window proposed", "request", id, "user", c.Who().Sub, "target", r.target())
	return r.view(a.now()), nil
}
