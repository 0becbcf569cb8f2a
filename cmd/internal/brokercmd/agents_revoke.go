package brokercmd

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker"
	"github.com/sallyport/sallyport/cmd/internal/operator"
)

func agentsRevokeCommand() *cobra.Command {
	var a which
	cmd := &cobra.Command{
		Use:   "revoke --site SITE --agent NAME",
		Short: "End an agent's access: its certificates, its join tokens, its connections",
		Long: `End an agent's access to all nodes of the broker: every certificate and join token that
it has is refused from now on, and its connections, sessions included, end within seconds.
Use it when the agent's machine or its key is lost. What it recorded and has not uploaded
stays on its disk. A new join token brings the same machine back; for another machine there
is agents replace.`,
		Example: "  sallyport-broker agents revoke --site NGH --agent ngh-1",
	}
	operator.Verb(cmd, func(cmd *cobra.Command, _ []string) (which, error) {
		cfg, err := a.named(cmd)
		if err != nil {
			return a, err
		}
		return a, broker.RevokeAgent(cmd.Context(), cfg, a.Site, a.Agent)
	}, func(out io.Writer, a which) {
		fmt.Fprintf(out, "The agent %s of site %s is revoked.\n", a.Agent, a.Site)
		fmt.Fprintf(out, "To bring the same machine back: sallyport-broker join-token --site %s --agent %s\n", a.Site, a.Agent)
		fmt.Fprintf(out, "For another machine in its place: sallyport-broker agents replace --site %s --agent %s\n", a.Site, a.Agent)
	})
	a.flags(cmd)
	return cmd
}
