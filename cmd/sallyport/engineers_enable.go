package main

import (
	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/internal/client"
)

func (p *program) engineersEnableCommand() *cobra.Command {
	return p.standingCommand("enable", "Let an engineer ask again",
		"Let an engineer ask again. What was taken back stays taken back.", client.Enable)
}
