package agentcmd

import (
	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/agent"
	"github.com/sallyport/sallyport/cmd/internal/operator"
	"github.com/sallyport/sallyport/session"
)

func trustForgetCommand() *cobra.Command {
	var yes bool
	cmd := operator.Configured(&cobra.Command{
		Use:   "forget ORIGIN --yes",
		Short: "Take nothing more from a node of the broker",
		Long: `Take nothing more from a node of the broker. What was kept of its audit log stays in
the state directory, as evidence. Accepting it again begins anew with its log: this is
also for the day after a node lost its log or its key and its operators explained how.
Recordings that it countersigned verify with the bundles that name it; keep one.`,
		Example: "  sallyport-agent trust forget access.example.org/node2 --yes",
		Args:    cobra.ExactArgs(1),
	}, func(_ *cobra.Command, cfg agent.Config, args []string) (session.Node, error) {
		if !yes {
			return session.Node{}, session.Errorf(session.Invalid, "This gives up the proof that the node's log was not rewritten").WithNext("If that is meant, add --yes.")
		}
		return agent.ForgetNode(cfg, args[0])
	}, nodeThen("Forgotten. To begin anew with it: sallyport-agent trust accept"))
	cmd.Flags().BoolVar(&yes, "yes", false, "yes, nothing more is to be taken from it")
	return cmd
}
