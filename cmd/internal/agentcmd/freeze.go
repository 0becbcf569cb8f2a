package agentcmd

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/agent/console"
	"github.com/sallyport/sallyport/cmd/internal/operator"
)

func freezeCommand() *cobra.Command {
	return hold(&cobra.Command{
		Use:   "freeze (SESSION | --asset ASSET | --engineer EMAIL | --all)",
		Short: "Stop what engineers type and send, at once; connections stay",
		Long: `Stop everything of the engineer in a session - typing, commands, uploads - before this
command returns. Output goes on, and so does the session's time. Named by asset,
engineer or all, every session there is frozen, and nothing else opens there until it
is thawed by the same name, also over a restart. Only thaw on this machine lifts it.
This speaks to the agent itself and needs neither broker nor network.`,
		Example: "  sallyport-agent freeze S-ktn5c2qdxw3e4y7zq6r2m5hbni\n  sallyport-agent freeze --asset NGH-PETCT1",
	}, console.Client.Freeze, func(out io.Writer, name string) {
		fmt.Fprintf(out, "%s is frozen: nothing opens there until it is thawed by this name.\n", name)
	}, "%s is frozen.\n")
}

// hold completes a verb that freezes or thaws.
func hold(cmd *cobra.Command, do func(console.Client, context.Context, console.Target) (console.Frozen, error), whole func(io.Writer, string), each string) *cobra.Command {
	cmd.Args = cobra.MaximumNArgs(1)
	aim(cmd)
	return operator.Verb(cmd, func(cmd *cobra.Command, args []string) (console.Frozen, error) {
		c, t, err := aimed(cmd, args)
		if err != nil {
			return console.Frozen{}, err
		}
		return do(c, cmd.Context(), t)
	}, func(out io.Writer, got console.Frozen) {
		switch {
		case got.Session == "":
			whole(out, nameOf(got.Target))
			for _, id := range got.Sessions {
				fmt.Fprintf(out, each, id)
			}
		case len(got.Frozen) == 0:
			fmt.Fprintf(out, "%s goes on.\n", got.Session)
		default:
			fmt.Fprintf(out, "%s is frozen: %s.\n", got.Session, strings.Join(got.Frozen, ", "))
		}
	})
}

// nameOf is what a target that is no session names.
func nameOf(t console.Target) string {
	if t.All {
		return "Everything at this agent"
	}
	return t.Asset + t.Engineer
}
