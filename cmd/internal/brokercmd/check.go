package brokercmd

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker"
	"github.com/sallyport/sallyport/cmd/internal/operator"
)

// checked is the answer of check.
type checked struct {
	Usable bool   `json:"usable"`
	Nodes  string `json:"nodes,omitempty"` // why the other nodes could not be looked at
}

func checkCommand() *cobra.Command {
	return operator.Configured(&cobra.Command{
		Use:   "check",
		Short: "Read the configuration and say whether it can be used",
		Long: `Read the configuration and say whether it can be used, and whether the CA and the jump
host key in the state directory are those of the other nodes that run on the same store.
Identity providers that answer are asked whether they name people as configured.`,
	}, func(cmd *cobra.Command, cfg broker.Config, _ []string) (checked, error) {
		if err := broker.CheckIssuers(cmd.Context(), cfg); err != nil {
			return checked{}, err
		}
		unknown, err := broker.CheckNodes(cmd.Context(), cfg)
		return checked{err == nil, unknown}, err
	}, func(out io.Writer, c checked) {
		fmt.Fprintln(out, "The configuration can be used.")
		if c.Nodes != "" {
			fmt.Fprintf(out, "Its keys were not compared with those of other nodes: %s.\n", c.Nodes)
		}
	})
}
