package main

import (
	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/internal/client"
)

func (p *program) sessionsFreezeCommand() *cobra.Command {
	return p.hold(client.Freeze, "Frozen", &cobra.Command{
		Use:   "freeze SESSION",
		Short: "Stop what the engineer types, and leave the rest running",
		Long: `Stop what the engineer types, and leave the rest running: the scanner's answers still
arrive, the time still counts, all of it is recorded. When the command returns nothing
more passes. Approvers of the site may.`,
	})
}
