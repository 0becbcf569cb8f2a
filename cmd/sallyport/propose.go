package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/home"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

func (p *program) proposeCommand() *cobra.Command {
	var from, until, reason string
	c := &cobra.Command{
		Use:   "propose REQUEST --from TIME --until TIME",
		Short: "Answer a request with another window",
		Long: `Answer a request with another window, in your site's time zone. It opens nothing: the
engineer takes it with "sallyport request accept", which makes a new request that you
approve, or waits for your answer to this one.`,
		Example:           `  sallyport propose R-aaaaaaaaaaaaaaaaaaaaaaaaaa --from "2026-11-24 18:30" --until 21:00 --reason "Patients until 18:00"`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.completeRequests(session.Pending),
		RunE: func(c *cobra.Command, args []string) error {
			return p.propose(c.Context(), args[0], from, until, reason)
		},
	}
	f := c.Flags()
	f.StringVar(&from, "from", "", "when the window opens, as in \"2026-11-24 18:30\" or 18:30 at the site")
	f.StringVar(&until, "until", "", "when the window closes")
	f.StringVar(&reason, "reason", "", "why; the engineer reads it")
	_ = c.MarkFlagRequired("from")
	_ = c.MarkFlagRequired("until")
	return c
}

func (p *program) propose(ctx context.Context, id, from, until, reason string) error {
	who, id, err := p.aboutRequest(id)
	if err != nil {
		return err
	}
	r, err := who.broker.Request(ctx, id)
	if err != nil {
		return err
	}
	zone := p.siteZone(ctx, who, r)
	begin, end, err := ends(from, until, zone, p.now().UTC().Truncate(time.Second))
	if err != nil {
		return err
	}
	r, err = who.broker.Propose(ctx, id, api.Counter{From: begin.UTC(), Until: end.UTC(), Reason: strings.TrimSpace(reason)})
	if err != nil {
		return err
	}
	return p.answer(r, func() error {
		p.print("Proposed for %s: %s until %s.", r.ID, p.both(begin, zone), p.both(end, zone))
		return nil
	})
}

func (p *program) requestAcceptCommand() *cobra.Command {
	noBrowser := false
	c := &cobra.Command{
		Use:   "accept REQUEST",
		Short: "Take the window that the hospital proposed",
		Long: `Take the window that the hospital proposed: the same terms are asked for again in that
window, as a new request that you sign, and the old request is taken back.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.completeRequests(session.Pending),
		RunE:              func(c *cobra.Command, args []string) error { return p.accept(c.Context(), args[0], noBrowser) },
	}
	c.Flags().BoolVar(&noBrowser, "no-browser", false, "print the address instead of opening a browser")
	return c
}

func (p *program) accept(ctx context.Context, id string, noBrowser bool) error {
	who, id, err := p.aboutRequest(id)
	if err != nil {
		return err
	}
	old, err := who.broker.Request(ctx, id)
	if err != nil {
		return err
	}
	if old.Proposal == nil || old.Status != session.Pending {
		return session.Errorf(session.Refused, "No other window is proposed for %s", id).WithNext("Details: sallyport request show " + id)
	}
	doc, bundle, err := p.signed(ctx, who, id)
	if err != nil {
		return err
	}
	if doc.Eng != who.login.Person.Identity {
		return session.Errorf(session.Denied, "Only its engineer takes the window proposed for %s", id).WithNext("Nothing was changed.")
	}
	now := p.now().UTC().Truncate(time.Second)
	begin, end := old.Proposal.From, old.Proposal.Until
	if begin.Before(now) {
		begin = now
	}
	if !end.After(begin) || begin.After(now.Add(maxAhead)) {
		return session.Errorf(session.Expired, "The window that was proposed is over").WithNext("Ask again: sallyport request new")
	}
	doc.RID, doc.NBF, doc.EXP = session.NewID().Text(), begin.Unix(), end.Unix()
	doc.MaxS = min(doc.MaxS, doc.EXP-doc.NBF)
	answer, err := p.handIn(ctx, who, bundle, doc, noBrowser)
	if err != nil {
		return err
	}
	if _, err := who.broker.Withdraw(ctx, id); err != nil {
		p.warn("The new request stands, but %s could not be taken back: %s", id, sentence(explain(err).Message))
	} else {
		_ = who.home.DropKey(id)
	}
	if _, err := p.writeSSH(ctx, who); err != nil {
		p.warn("The request stands, but the ssh configuration was not written: %s Run: sallyport ssh-config", sentence(explain(err).Message))
	}
	return p.answer(answer, func() error {
		p.print("%s", answer.ID)
		zone := p.siteZone(ctx, who, answer)
		p.say("Asked for %s until %s in place of %s. %s", p.both(begin, zone), p.both(end, zone), id, p.whereItStands(answer))
		return nil
	})
}

// signed reads a request as its engineer signed it, checked on this machine: the
// broker does not choose the terms that are asked for again.
func (p *program) signed(ctx context.Context, who signedIn, id string) (grant.Request, session.Trust, error) {
	docs, err := who.broker.Documents(ctx, id)
	if err != nil {
		return grant.Request{}, session.Trust{}, err
	}
	unverified, err := grant.ParseRequest(docs.Request)
	if err != nil {
		return grant.Request{}, session.Trust{}, err
	}
	trust, err := who.home.Trust()
	if err != nil {
		return grant.Request{}, session.Trust{}, err
	}
	bundle, err := home.ForSite(trust, unverified.Site)
	if err != nil {
		return grant.Request{}, session.Trust{}, err
	}
	check, err := verifierOf(bundle)
	if err != nil {
		return grant.Request{}, session.Trust{}, err
	}
	r, _, err := check.CheckRequestAsMinted(ctx, docs.Request, grant.Proof{Token: docs.Token, Salt: docs.Salt})
	if err != nil {
		return grant.Request{}, session.Trust{}, err
	}
	if rid, err := session.ParseText(r.RID); err != nil || rid.Request() != id {
		return grant.Request{}, session.Trust{}, session.Errorf(session.Refused, "The broker handed out another request than %s", id).
			WithNext("Nothing was asked for. Tell your security contact.")
	}
	return r, bundle, nil
}
