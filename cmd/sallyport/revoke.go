package main

import (
	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/session"
)

func (p *program) revokeCommand() *cobra.Command {
	var reason string
	return withReason(&cobra.Command{
		Use:   "revoke REQUEST|SESSION --reason TEXT",
		Short: "Take an approval back, opened or not",
		Long: `Take an approval back. A session that is open ends within seconds; nothing opens with it
again. The engineer reads your reason. This goes through the broker; at the hospital
"sallyport-agent kill SESSION" closes a grant for good with the broker gone.`,
		Example:           `  sallyport revoke R-aaaaaaaaaaaaaaaaaaaaaaaaaa --reason "Wrong scanner"`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.requests(session.Approved),
		RunE: func(c *cobra.Command, args []string) error {
			who, r, err := p.requestOf(c.Context(), args[0])
			if err != nil {
				return err
			}
			r, err = client.Revoke.Post(c.Context(), who.broker, api.Revocation{Reason: reason}, r.ID)
			return p.told(r, err, func() { p.print("%s is revoked: nothing opens with it any more.", r.ID) })
		},
	}, &reason, "why; the engineer reads it", "Taking an approval back needs its reason", "Wrong scanner")
}
