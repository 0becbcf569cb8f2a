package main

import (
	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/internal/client"
)

func (p *program) sessionsThawCommand() *cobra.Command {
	return p.hold(client.Thaw, "Thawed", &cobra.Command{
		Use:   "thaw SESSION",
		Short: "Let the engineer type again",
		Long:  `Lift a freeze that came through the broker. A freeze at the agent itself is lifted there.`,
	})
}
