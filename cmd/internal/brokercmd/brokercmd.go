// Package brokercmd is the broker operator's command. Each verb is in the file of its
// name.
package brokercmd

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/internal/operator"
)

// Main runs the command and returns its exit code.
func Main(args []string, stdout, stderr io.Writer) int {
	return operator.Run(New(), args, stdout, stderr)
}

// New is the command tree.
func New() *cobra.Command {
	root := operator.Root("sallyport-broker", "The meeting place of Sallyport: sign-in, requests, approvals, routing, vault", "/etc/sallyport/broker.yaml")
	root.AddCommand(serveCommand(), joinTokenCommand(), agentsCommand(), auditCommand(), logKeyCommand(), checkCommand(), setupCommand())
	return root
}
