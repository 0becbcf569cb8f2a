package brokercmd

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker"
	"github.com/sallyport/sallyport/cmd/internal/operator"
)

func agentsForgetCommand() *cobra.Command {
	var a which
	cmd := &cobra.Command{
		Use:   "forget --site SITE --agent NAME",
		Short: "Revoke an agent and take it and its scanners off every list",
		Long: `Revoke an agent and take it and its scanners off every list: for one that will not come
back. Its recordings stay, and its key stays known as the one that signed them.`,
		Example: "  sallyport-broker agents forget --site NGH --agent ngh-1",
	}
	operator.Verb(cmd, func(cmd *cobra.Command, _ []string) (which, error) {
		cfg, err := a.named(cmd)
		if err != nil {
			return a, err
		}
		return a, broker.ForgetAgent(cmd.Context(), cfg, a.Site, a.Agent)
	}, func(out io.Writer, a which) {
		fmt.Fprintf(out, "The agent %s of site %s is revoked and forgotten. Its recordings stay, and can be verified as before.\n", a.Agent, a.Site)
	})
	a.flags(cmd)
	return cmd
}
