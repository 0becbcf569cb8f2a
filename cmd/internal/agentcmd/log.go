package agentcmd

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/agent/console"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// showLog says how the broker's audit log stands, as this agent has seen it.
func showLog(out io.Writer, log *console.Log) {
	switch {
	case log == nil:
		fmt.Fprintln(out, "Audit log of the broker: no checkpoint seen yet")
	case log.Trouble != "":
		fmt.Fprintf(out, "AUDIT LOG OF THE BROKER NOT BELIEVED since %s: %s\n", log.Since.Local().Format("2006-01-02 15:04:05"), wording.Clean(log.Trouble))
		fmt.Fprintln(out, "  New requests and approvals are refused; live sessions go on, and ending them works.")
		fmt.Fprintln(out, "  When the broker's operators have explained it: sallyport-agent log forget --yes")
	default:
		fmt.Fprintf(out, "Audit log of the broker %s: %d entries, checkpoint of %s, key %s\n",
			wording.Clean(log.Origin), log.Size, log.Taken.Local().Format("2006-01-02 15:04:05"), log.Key)
	}
}

func logCommand() *cobra.Command {
	parent := &cobra.Command{Use: "log", Short: "What this agent keeps of the broker's audit log"}
	var yes bool
	forget := &cobra.Command{
		Use:   "forget --yes",
		Short: "Begin anew with the broker's audit log",
		Long: `Begin anew with the broker's audit log: the next checkpoint and the key that signed it
are believed at first sight. This is for the day after the broker lost its log and its
operators explained how. What was kept stays in the state directory, as evidence.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !yes {
				return session.Errorf(session.Invalid, "This gives up the proof that the broker's log was not rewritten").WithNext("If the broker's operators have explained it, add --yes.")
			}
			c, err := running(cmd)
			if err != nil {
				return err
			}
			if err := c.ForgetLog(cmd.Context()); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "Forgotten. The next checkpoint is taken at first sight.")
			return nil
		},
	}
	forget.Flags().BoolVar(&yes, "yes", false, "yes, the broker's operators have explained it")
	parent.AddCommand(forget)
	return parent
}
