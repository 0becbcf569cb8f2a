package access

import (
	"context"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// Settle tells an agent what it missed while it was away: requests that are over,
// sessions to end. To be called when Agents.Online says so and its control connection
// serves: not from within its hello.
func (a *Access) Settle(ctx context.Context, site, agent string) error {
	if err := a.settleDisabled(ctx, site, agent); err != nil {
		return err
	}
	for r, err := range a.all(ctx, owedTo(site, agent), "") {
		if err != nil {
			return err
		}
		a.settle(ctx, r)
	}
	return nil
}

// settle tells the agent what it is owed and crosses it out. What cannot be told
// now stays owed: nothing depends on it, because the fact is recorded and the
// broker lets nobody through.
func (a *Access) settle(ctx context.Context, r record) {
	if r.Owed == nil || !a.agents.Online(r.doc.Site, r.Agent) {
		return
	}
	ctx = context.WithoutCancel(ctx) // a caller that hangs up does not keep the door open
	if err := a.tell(ctx, r); err != nil {
		a.log.Warn("the agent could not be told", "request", r.id.Request(), "agent", r.Agent, "err", err)
		return
	}
	_, err := a.edit(ctx, r.id, func(now *record) error {
		if now.Owed != nil && *now.Owed == *r.Owed && now.Answer.InFlight == r.Answer.InFlight {
			now.Owed = nil
		}
		return nil
	})
	if err != nil {
		a.log.Warn("a debt stays written", "request", r.id.Request(), "err", err)
	}
}

// tell delivers. The agent's no is an answer too: it knows nothing that could be closed.
func (a *Access) tell(ctx context.Context, r record) error {
	if r.Owed.Revoke {
		_, err := a.agents.Deliver(ctx, r.doc.Site, r.Agent, link.Deliver{Kind: link.DeliverRevoke, ID: r.sessionID().Session(), By: &r.Owed.By})
		return err
	}
	if r.Owed.Reason != "" {
		_, err := a.agents.End(ctx, r.doc.Site, r.Agent,
			link.End{Session: r.sessionID().Session(), Reason: r.Owed.Reason, By: r.Owed.By})
		return err
	}
	if _, err := a.agents.Deliver(ctx, r.doc.Site, r.Agent, link.Deliver{Kind: link.DeliverWithdraw, ID: r.id.Request()}); err != nil {
		return err
	}
	if r.sessionID() == (session.ID{}) {
		return nil
	}
	_, err := a.agents.Deliver(ctx, r.doc.Site, r.Agent, link.Deliver{Kind: link.DeliverRevoke, ID: r.sessionID().Session()})
	return err
}
