package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/session"
)

func (p *program) sessionsFreezeCommand() *cobra.Command {
	return p.hold(client.Freeze, "Frozen", &cobra.Command{
		Use:   "freeze SESSION",
		Short: "Stop what the engineer types, and leave the rest running",
		Long: `Stop what the engineer types, and leave the rest running: the scanner's answers still
arrive, the time still counts, all of it is recorded. When the command returns nothing
more passes. Approvers of the site may.`,
	})
}

func (p *program) sessionsThawCommand() *cobra.Command {
	return p.hold(client.Thaw, "Thawed", &cobra.Command{
		Use:   "thaw SESSION",
		Short: "Let the engineer type again",
		Long:  `Lift a freeze that came through the broker. A freeze at the agent itself is lifted there.`,
	})
}

func (p *program) hold(call client.Write[client.None, api.Session], done string, c *cobra.Command) *cobra.Command {
	return about(p, session.ParseSessionID, p.sessions(true), c, func(ctx context.Context, who signedIn, id string) error {
		s, err := call.Post(ctx, who.broker, client.None{}, id)
		return p.told(s, err, func() {
			p.print("%s: %s on %s.", done, s.ID, fullName(s.Site, s.Asset, s.Service))
			if call == client.Thaw && s.State == session.Frozen {
				p.say("It stays frozen for another cause: %s. That is lifted at the hospital.", strings.Join(s.Frozen, ", "))
			}
		})
	})
}
