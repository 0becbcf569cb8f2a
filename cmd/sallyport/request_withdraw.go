package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/session"
)

func (p *program) requestWithdrawCommand() *cobra.Command {
	return about(p, session.ParseRequestID, p.requests(session.Pending), &cobra.Command{
		Use:   "withdraw REQUEST",
		Short: "Take a request back",
		Long:  "Take a request back before the hospital answered. Its key on this machine is removed.",
	}, func(ctx context.Context, who signedIn, id string) error {
		r, err := client.Withdraw.Post(ctx, who.broker, client.None{}, id)
		if err != nil {
			return err
		}
		_ = who.home.DropKey(id)
		if _, err := p.writeSSH(ctx, who); err != nil {
			p.say("The ssh configuration was not rewritten: %s", explain(err).Message)
		}
		return p.told(r, nil, func() { p.print("%s", p.whereItStands(r)) })
	})
}
