package brokercmd

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker"
	"github.com/sallyport/sallyport/cmd/internal/operator"
	"github.com/sallyport/sallyport/session"
)

// revokedAgent is the answer of revoke-agent.
type revokedAgent struct {
	Site  string `json:"site"`
	Agent string `json:"agent"`
}

func revokeAgentCommand() *cobra.Command {
	var a revokedAgent
	cmd := &cobra.Command{
		Use:   "revoke-agent --site SITE --agent NAME",
		Short: "End an agent's access: its certificates, its join tokens, its connections",
		Long: `End an agent's access to all nodes of the broker: every certificate and join token that
it has is refused from now on, and its connections, sessions included, end within seconds.
Use it when the agent's machine or its key is lost. What it recorded and has not uploaded
stays on its disk. A new join token brings an agent of this name back.`,
		Example: "  sallyport-broker revoke-agent --site NGH --agent ngh-1",
	}
	operator.Verb(cmd, func(cmd *cobra.Command, _ []string) (revokedAgent, error) {
		if !session.ValidName(a.Site) || !session.ValidName(a.Agent) {
			return a, session.Errorf(session.Invalid, "It is not said which agent of which site is revoked").WithNext("Example: sallyport-broker revoke-agent --site NGH --agent ngh-1")
		}
		cfg, err := operator.LoadOwned[broker.Config](cmd)
		if err != nil {
			return a, err
		}
		return a, broker.RevokeAgent(cmd.Context(), cfg, a.Site, a.Agent)
	}, func(out io.Writer, a revokedAgent) {
		fmt.Fprintf(out, "The agent %s of site %s is revoked. To bring it back: sallyport-broker join-token --site %s --agent %s\n", a.Agent, a.Site, a.Site, a.Agent)
	})
	cmd.Flags().StringVar(&a.Site, "site", "", "the hospital site")
	cmd.Flags().StringVar(&a.Agent, "agent", "", "the agent's name within the site")
	return cmd
}
