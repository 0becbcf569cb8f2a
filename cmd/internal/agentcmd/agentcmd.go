// Package agentcmd is the hospital operator's command. Each verb is in the file of its
// name. status, kill, freeze, thaw, state and consent speak to the running agent over its unix socket, so
// they work with the broker gone; trust and keys read and write the agent's state.
package agentcmd

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/agent"
	"github.com/sallyport/sallyport/agent/console"
	"github.com/sallyport/sallyport/cmd/internal/operator"
)

// Main runs the command and returns its exit code.
func Main(args []string, stdout, stderr io.Writer) int {
	return operator.Run(New(), args, stdout, stderr)
}

// New is the command tree.
func New() *cobra.Command {
	root := operator.Root("sallyport-agent", "The hospital's side of Sallyport: verifies, logs in, records, ends", "/etc/sallyport/agent.yaml")
	root.PersistentFlags().String("socket", "", "the running agent's socket (default: from the configuration)")
	root.AddCommand(serveCommand(), checkCommand(), enrolCommand(), trustCommand(), statusCommand(), killCommand(),
		freezeCommand(), thawCommand(), stateCommand(), consentCommand(), keysCommand(), doctorCommand(), setupCommand(), pinCommand())
	return root
}

// running reaches the running agent: by --socket, or where the configuration says.
func running(cmd *cobra.Command) (console.Client, error) {
	if socket, _ := cmd.Flags().GetString("socket"); socket != "" {
		return console.Client{Socket: socket}, nil
	}
	cfg, err := operator.Load[agent.Config](cmd)
	return console.Client{Socket: cfg.Socket}, err
}
