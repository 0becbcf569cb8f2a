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
		Use:   "freeze SESSION",
		Short: "Stop what an engineer types and sends, at once; the connection stays",
		Long: `Stop everything of the engineer in a session - typing, commands, uploads - before this
command returns. Output goes on, and so does the session's time. Only thaw on this
machine lifts it. This speaks to the agent itself and needs neither broker nor network.`,
		Example: "  sallyport-agent freeze S-ktn5c2qdxw3e4y7zq6r2m5hbni",
	}, console.Client.Freeze)
}

// hold completes a verb that freezes or thaws one session.
func hold(cmd *cobra.Command, do func(console.Client, context.Context, console.Freeze) (console.Frozen, error)) *cobra.Command {
	cmd.Args = cobra.ExactArgs(1)
	return operator.Verb(cmd, func(cmd *cobra.Command, args []string) (console.Frozen, error) {
		c, err := running(cmd)
		if err != nil {
			return console.Frozen{}, err
		}
		return do(c, cmd.Context(), console.Freeze{Session: args[0]})
	}, func(out io.Writer, got console.Frozen) {
		if len(got.Frozen) == 0 {
			fmt.Fprintf(out, "%s goes on.\n", got.Session)
			return
		}
		fmt.Fprintf(out, "%s is frozen: %s.\n", got.Session, strings.Join(got.Frozen, ", "))
	})
}
