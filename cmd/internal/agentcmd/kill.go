package agentcmd

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/agent/console"
	"github.com/sallyport/sallyport/cmd/internal/operator"
	"github.com/sallyport/sallyport/session/wording"
)

func killCommand() *cobra.Command {
	cmd := operator.Verb(&cobra.Command{
		Use:   "kill (SESSION | --asset ASSET | --engineer EMAIL | --all)",
		Short: "End sessions at once and close what could be opened, for good, also with the broker gone",
		Long: `End sessions at once: the device connections are closed and the recordings sealed.
Grants that were approved and not opened yet are closed as well, and so are requests
that still wait for an answer, so that nothing in reach opens again without a new
request. It works with a full disk. This speaks to the agent on this machine and needs
neither broker nor network.`,
		Example: "  sallyport-agent kill --all\n  sallyport-agent kill --asset NGH-PETCT1\n  sallyport-agent kill --engineer j.brandt@meridian.example",
		Args:    cobra.MaximumNArgs(1),
	}, func(cmd *cobra.Command, args []string) (done console.Killed, err error) {
		c, t, err := aimed(cmd, args)
		if err != nil {
			return done, err
		}
		return c.Kill(cmd.Context(), t)
	}, tellKilled)
	aim(cmd)
	return cmd
}

// aim adds the flags by which a verb names more than one session.
func aim(cmd *cobra.Command) {
	cmd.Flags().String("asset", "", "everything on an asset")
	cmd.Flags().String("engineer", "", "everything of an engineer, named by e-mail address")
	cmd.Flags().Bool("all", false, "everything at this agent")
}

// aimed reads what such a verb names, and reaches the running agent.
func aimed(cmd *cobra.Command, args []string) (c console.Client, t console.Target, err error) {
	if len(args) == 1 {
		t.Session = args[0]
	}
	t.Asset, _ = cmd.Flags().GetString("asset")
	t.Engineer, _ = cmd.Flags().GetString("engineer")
	t.All, _ = cmd.Flags().GetBool("all")
	if err := t.Check(); err != nil {
		return c, t, err
	}
	c, err = running(cmd)
	return c, t, err
}

func tellKilled(out io.Writer, done console.Killed) {
	if len(done.Sessions) == 0 {
		fmt.Fprintln(out, "Nothing was live.")
	}
	for _, id := range done.Sessions {
		fmt.Fprintf(out, "%s is ended.\n", id)
	}
	for _, g := range done.Grants {
		fmt.Fprintf(out, "%s was approved and not opened: %s for %s. It is closed.\n", g.ID, g.Asset, wording.Clean(g.Engineer.Shown()))
	}
	for _, id := range done.Requests {
		fmt.Fprintf(out, "%s waited for an answer: no approval opens it any more.\n", id)
	}
}
