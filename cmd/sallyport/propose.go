package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/session"
)

func (p *program) proposeCommand() *cobra.Command {
	var from, until, reason string
	c := about(p, session.ParseRequestID, p.requests(session.Pending), &cobra.Command{
		Use:   "propose REQUEST --from TIME --until TIME",
		Short: "Answer a request with another window",
		Long: `Answer a request with another window, in your site's time zone. It opens nothing: the
engineer takes it with "sallyport request accept", which makes a new request that you
approve, or waits for your answer to this one.`,
		Example: `  sallyport propose R-aaaaaaaaaaaaaaaaaaaaaaaaaa --from "2026-11-24 18:30" --until 21:00 --reason "Patients until 18:00"`,
	}, func(ctx context.Context, who signedIn, id string) error {
		return p.propose(ctx, who, id, from, until, strings.TrimSpace(reason))
	})
	f := c.Flags()
	f.StringVar(&from, "from", "", "when the window opens, as in \"2026-11-24 18:30\" or 18:30 at the site")
	f.StringVar(&until, "until", "", "when the window closes")
	f.StringVar(&reason, "reason", "", "why; the engineer reads it")
	_ = c.MarkFlagRequired("from")
	_ = c.MarkFlagRequired("until")
	return c
}

func (p *program) propose(ctx context.Context, who signedIn, id, from, until, reason string) error {
	r, err := client.Request.Get(ctx, who.broker, id)
	if err != nil {
		return err
	}
	zone := p.siteZone(ctx, who, r)
	begin, end, err := ends(from, until, zone, p.now().UTC().Truncate(time.Second))
	if err != nil {
		return err
	}
	r, err = client.Propose.Post(ctx, who.broker, api.Counter{From: begin.UTC(), Until: end.UTC(), Reason: reason}, id)
	return p.told(r, err, func() { p.print("Proposed for %s: %s until %s.", r.ID, p.both(begin, zone), p.both(end, zone)) })
}
