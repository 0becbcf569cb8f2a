package agentcmd

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/agent/console"
	"github.com/sallyport/sallyport/cmd/internal/operator"
	"github.com/sallyport/sallyport/session"
)

func killCommand() *cobra.Command {
	var k console.Kill
	cmd := operator.Verb(&cobra.Command{
		Use:   "kill (SESSION | --asset ASSET | --all)",
		Short: "End sessions at once and for good, also with the broker gone",
		Long: `End sessions at once: the device connections are closed, the recordings sealed, and
the grants closed for good, so that nothing opens again without a new approval.
This speaks to the agent on this machine and needs neither broker nor network.`,
		Example: "  sallyport-agent kill --all\n  sallyport-agent kill --asset NGH-PETCT1",
		Args:    cobra.MaximumNArgs(1),
	}, func(cmd *cobra.Command, args []string) (done console.Killed, err error) {
		if len(args) == 1 {
			k.Session = args[0]
		}
		if (k.Session != "" && k.Asset != "") || (k.Session != "" || k.Asset != "") == k.All {
			return done, session.Errorf(session.Invalid, "Say one thing to end: a session, an asset, or all").WithNext("See what is live with sallyport-agent status.")
		}
		c, err := running(cmd)
		if err != nil {
			return done, err
		}
		return c.Kill(cmd.Context(), k)
	}, func(out io.Writer, done console.Killed) {
		if len(done.Sessions) == 0 {
			fmt.Fprintln(out, "Nothing was live.")
		}
		for _, id := range done.Sessions {
			fmt.Fprintf(out, "%s is ended.\n", id)
		}
	})
	cmd.Flags().StringVar(&k.Asset, "asset", "", "end every session on an asset")
	cmd.Flags().BoolVar(&k.All, "all", false, "end every session of this agent")
	return cmd
}
