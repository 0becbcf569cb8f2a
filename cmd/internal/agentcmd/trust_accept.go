package agentcmd

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/agent"
	"github.com/sallyport/sallyport/cmd/internal/operator"
	"github.com/sallyport/sallyport/session"
)

func trustAcceptCommand() *cobra.Command {
	return operator.Configured(&cobra.Command{
		Use:   "accept ORIGIN KEY",
		Short: "Accept a node of the broker: the name of its audit log, and its key",
		Long: `Accept a node of the broker: the name of its audit log, and the key that signs the log
and countersigns recordings. Take both from the broker's operators by a way that is not
the broker. It counts at once; the trust bundle names the node from then on, so hand out
a new one.`,
		Example: `  sallyport-agent trust accept access.example.org/node2 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA..."`,
		Args:    cobra.RangeArgs(2, 3),
	}, func(_ *cobra.Command, cfg agent.Config, args []string) (session.Node, error) {
		// A key line without quotes is two arguments.
		return agent.AcceptNode(cfg, args[0], strings.Join(args[1:], " "), time.Now())
	}, nodeThen("Accepted. Hand out a new bundle: sallyport-agent trust export"))
}
