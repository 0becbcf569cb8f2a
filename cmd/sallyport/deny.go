package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/session"
)

func (p *program) denyCommand() *cobra.Command {
	var reason string
	return withReason(about(p, session.ParseRequestID, p.requests(session.Pending), &cobra.Command{
		Use:     "deny REQUEST --reason TEXT",
		Short:   "Say no to a request",
		Long:    "Say no to a request. The engineer reads your reason; say when asking again makes sense.",
		Example: `  sallyport deny R-aaaaaaaaaaaaaaaaaaaaaaaaaa --reason "Scanner in use until 15:00"`,
	}, func(ctx context.Context, who signedIn, id string) error {
		r, err := client.Deny.Post(ctx, who.broker, api.Denial{Reason: reason}, id)
		return p.told(r, err, func() { p.print("%s", p.whereItStands(r)) })
	}), &reason, "why; the engineer reads it", "A denial needs its reason", "Scanner in use until 15:00")
}
