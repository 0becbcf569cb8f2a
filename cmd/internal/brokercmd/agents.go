package brokercmd

import (
	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker"
	"github.com/sallyport/sallyport/cmd/internal/operator"
	"github.com/sallyport/sallyport/session"
)

func agentsCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "agents",
		Short: "List the hospitals' agents, revoke, replace and forget them",
		Long: `List the hospitals' agents, revoke, replace and forget them. These verbs work beside running
nodes, on any of them, and hold for all: what they do is in the store and in the audit log.
When root runs them, they act as the state directory's owner.`,
	}
	root.AddCommand(agentsListCommand(), agentsRevokeCommand(), agentsReplaceCommand(), agentsForgetCommand())
	return root
}

// which is the agent that a verb is about.
type which struct {
	Site  string `json:"site"`
	Agent string `json:"agent"`
}

// flags lets a command ask for it.
func (w *which) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&w.Site, "site", "", "the hospital site")
	cmd.Flags().StringVar(&w.Agent, "agent", "", "the agent's name within the site")
}

// named reads the configuration, once it is said which agent is meant.
func (w which) named(cmd *cobra.Command) (broker.Config, error) {
	if !session.ValidName(w.Site) || !session.ValidName(w.Agent) {
		return broker.Config{}, session.Errorf(session.Invalid, "It is not said which agent of which site is meant").WithNext("Example: " + cmd.CommandPath() + " --site NGH --agent ngh-1")
	}
	return operator.LoadOwned[broker.Config](cmd)
}
