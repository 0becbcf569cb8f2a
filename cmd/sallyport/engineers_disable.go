package main

import (
	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/internal/client"
)

func (p *program) engineersDisableCommand() *cobra.Command {
	return p.standingCommand("disable", "End an engineer's access to your site, now",
		`End an engineer's access to your site: what is open is cut within seconds, what was
approved is taken back, and nothing new is taken from them. Agents that are away are
told when they are back. Other hospitals decide for themselves.`, client.Disable)
}
