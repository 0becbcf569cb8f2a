package agentcmd

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/agent/console"
)

func thawCommand() *cobra.Command {
	return hold(&cobra.Command{
		Use:     "thaw (SESSION | --asset ASSET | --engineer EMAIL | --all)",
		Short:   "Lift a freeze that was made on this machine",
		Long:    "Lift a freeze by the name by which it was made. What another freeze covers stays frozen;\nsallyport-agent status shows what is frozen by name.",
		Example: "  sallyport-agent thaw S-ktn5c2qdxw3e4y7zq6r2m5hbni\n  sallyport-agent thaw --asset NGH-PETCT1",
	}, console.Client.Thaw, func(out io.Writer, name string) {
		fmt.Fprintf(out, "%s is no longer frozen by this name.\n", name)
	}, "%s goes on.\n")
}
