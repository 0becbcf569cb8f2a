package agentcmd

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/session"
)

func trustCommand() *cobra.Command {
	parent := &cobra.Command{Use: "trust", Short: "Whom this hospital trusts: the bundle for people, and the nodes of the broker"}
	parent.AddCommand(trustExportCommand(), trustListCommand(), trustAcceptCommand(), trustForgetCommand())
	return parent
}

// nodeThen tells a node of the broker, and what to do next.
func nodeThen(next string) func(io.Writer, session.Node) {
	return func(out io.Writer, n session.Node) { fmt.Fprintf(out, "%s\n%s\n%s\n", n.Origin, n.Key, next) }
}
