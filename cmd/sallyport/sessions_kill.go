package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/session"
)

func (p *program) sessionsKillCommand() *cobra.Command {
	return about(p, session.ParseSessionID, p.sessions(true), &cobra.Command{
		Use:   "kill SESSION",
		Short: "End a session now, for good",
		Long: `End a session now, for good. Its engineer and the approvers of its site may; nobody is
asked again. This goes through the broker. At the hospital, "sallyport-agent kill"
works with the broker gone.`,
	}, func(ctx context.Context, who signedIn, id string) error {
		s, err := client.Kill.Post(ctx, who.broker, client.None{}, id)
		return p.told(s, err, func() {
			if s.State == session.Ended {
				p.print("Ended: %s on %s.", s.ID, fullName(s.Site, s.Asset, s.Service))
			} else {
				p.print("The agent was told to end %s; look again with: sallyport sessions show %s", s.ID, s.ID)
			}
		})
	})
}
