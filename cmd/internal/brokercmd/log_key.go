package brokercmd

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker"
	"github.com/sallyport/sallyport/cmd/internal/operator"
	"github.com/sallyport/sallyport/session"
)

func logKeyCommand() *cobra.Command {
	return operator.Configured(&cobra.Command{
		Use:   "log-key",
		Short: "Print the name and the key of this node's audit log, as a hospital accepts them",
		Long: `Print the name and the key of this node's audit log. Hand both to the hospitals by a way
that is not the broker: each accepts the node with sallyport-agent trust accept. The node
with which an agent enrols is accepted by enrolling.`,
	}, func(_ *cobra.Command, cfg broker.Config, _ []string) (session.Node, error) {
		return broker.AuditNode(cfg)
	},
		func(out io.Writer, n session.Node) { fmt.Fprintf(out, "%s %q\n", n.Origin, n.Key) })
}
