package agentcmd

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/agent"
	"github.com/sallyport/sallyport/cmd/internal/operator"
	"github.com/sallyport/sallyport/session"
)

func trustListCommand() *cobra.Command {
	return operator.Configured(&cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the broker's nodes that this hospital accepts",
	}, func(_ *cobra.Command, cfg agent.Config, _ []string) (session.Nodes, error) {
		all, err := agent.AcceptedNodes(cfg)
		return append(session.Nodes{}, all...), err
	}, func(out io.Writer, all session.Nodes) {
		if len(all) == 0 {
			fmt.Fprintln(out, "No node of the broker is accepted yet. Enrolling accepts the first.")
			return
		}
		table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
		fmt.Fprintln(table, "AUDIT LOG\tACCEPTED\tKEY")
		for _, n := range all {
			fmt.Fprintf(table, "%s\t%s\t%s\n", n.Origin, n.Since.Local().Format("2006-01-02 15:04"), n.Key)
		}
		_ = table.Flush() // into a buffer
	})
}
