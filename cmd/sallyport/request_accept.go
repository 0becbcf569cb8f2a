package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

func (p *program) requestAcceptCommand() *cobra.Command {
	noBrowser := false
	c := about(p, session.ParseRequestID, p.requests(session.Pending), &cobra.Command{
		Use:   "accept REQUEST",
		Short: "Take the window that the hospital proposed",
		Long: `Take the window that the hospital proposed: the same terms are asked for again in that
window, as a new request that you sign, and the old request is taken back.`,
	}, func(ctx context.Context, who signedIn, id string) error { return p.accept(ctx, who, id, noBrowser) })
	c.Flags().BoolVar(&noBrowser, "no-browser", false, "print the address instead of opening a browser")
	return c
}

func (p *program) accept(ctx context.Context, who signedIn, id string, noBrowser bool) error {
	old, err := client.Request.Get(ctx, who.broker, id)
	if err != nil {
		return err
	}
	if old.Proposal == nil || old.Status != session.Pending {
		return session.Errorf(session.Refused, "No other window is proposed for %s", id).WithNext("Details: sallyport request show " + id)
	}
	was, err := p.verified(ctx, who, id, "Nothing was asked for.")
	if err != nil {
		return err
	}
	doc := was.request
	if doc.Eng != who.login.Person.Identity {
		return session.Errorf(session.Denied, "Only its engineer takes the window proposed for %s", id).WithNext("Nothing was changed.")
	}
	now := p.now().UTC().Truncate(time.Second)
	begin, end := old.Proposal.From, old.Proposal.Until
	if begin.Before(now) {
		begin = now
	}
	if !end.After(begin) || begin.After(now.Add(grant.Farthest)) {
		return session.Errorf(session.Expired, "The window that was proposed is over").WithNext("Ask again: sallyport request new")
	}
	doc.RID, doc.NBF, doc.EXP = session.NewID().Text(), begin.Unix(), end.Unix()
	doc.MaxS = min(doc.MaxS, doc.EXP-doc.NBF)
	answer, err := p.handIn(ctx, who, was.trust, doc, noBrowser)
	if err != nil {
		return err
	}
	if _, err := client.Withdraw.Post(ctx, who.broker, client.None{}, id); err != nil {
		p.warn("The new request stands, but %s could not be taken back: %s", id, sentence(explain(err).Message))
	} else {
		_ = who.home.DropKey(id)
	}
	p.rewriteSSH(ctx, who)
	return p.told(answer, nil, func() {
		p.print("%s", answer.ID)
		zone := p.siteZone(ctx, who, answer)
		p.say("Asked for %s until %s in place of %s. %s", p.both(begin, zone), p.both(end, zone), id, p.whereItStands(answer))
	})
}
