package agentcmd

import (
	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/agent/console"
)

func thawCommand() *cobra.Command {
	return hold(&cobra.Command{
		Use:     "thaw SESSION",
		Short:   "Lift a freeze that was made on this machine",
		Example: "  sallyport-agent thaw S-ktn5c2qdxw3e4y7zq6r2m5hbni",
	}, console.Client.Thaw)
}
