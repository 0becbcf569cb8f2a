package agentcmd

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/agent/console"
	"github.com/sallyport/sallyport/cmd/internal/operator"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

func consentCommand() *cobra.Command {
	cmd := asked(&cobra.Command{
		Use:   "consent",
		Short: "Show which sessions wait for the operator's consent, and answer",
		Long: `Where an asset's configuration says consent: operator or consent: code, a session reaches
the scanner only when the operator there has accepted, here or on the agent's page, or when
the engineer has typed the code that is shown here, which the operator reads out to them.
Nobody is asked for longer than five minutes.`,
	})
	cmd.AddCommand(asked(&cobra.Command{
		Use:     "ls",
		Short:   "Show which sessions wait for the operator's consent, and their codes",
		Example: "  sallyport-agent consent ls",
	}), answerCommand("accept", "Let a session open", true), answerCommand("refuse", "Do not let a session open", false))
	return cmd
}

// asked completes a verb that shows who waits.
func asked(cmd *cobra.Command) *cobra.Command {
	return operator.Verb(cmd, func(cmd *cobra.Command, _ []string) ([]console.Asking, error) {
		c, err := running(cmd)
		if err != nil {
			return nil, err
		}
		return c.Asked(cmd.Context())
	}, showAsked)
}

func answerCommand(name, short string, accept bool) *cobra.Command {
	return operator.Verb(&cobra.Command{
		Use:     name + " SESSION",
		Short:   short,
		Example: "  sallyport-agent consent " + name + " S-01JABCDEFGHJKMNPQRSTVWXYZ0",
		Args:    cobra.MaximumNArgs(1),
	}, func(cmd *cobra.Command, args []string) (console.Answered, error) {
		if len(args) == 0 {
			return console.Answered{}, session.Errorf(session.Invalid, "Say which session.").WithNext("See who waits with sallyport-agent consent ls.")
		}
		c, err := running(cmd)
		if err != nil {
			return console.Answered{}, err
		}
		return c.Answer(cmd.Context(), console.Answer{Session: args[0], Accept: accept})
	}, func(out io.Writer, a console.Answered) {
		if a.Accept {
			fmt.Fprintf(out, "%s may open.\n", a.Session)
			return
		}
		fmt.Fprintf(out, "%s does not open.\n", a.Session)
	})
}

func showAsked(out io.Writer, all []console.Asking) {
	if len(all) == 0 {
		fmt.Fprintln(out, "Nobody waits.")
		return
	}
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "SESSION\tASSET\tSERVICE\tENGINEER\tWORK ORDER\tREASON\tUNTIL\tCODE")
	for _, a := range all {
		code := a.Code
		if code == "" {
			code = "-"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", a.Session, a.Asset, a.Service, wording.Clean(a.Engineer.Shown()), wording.Clean(a.WorkOrder), wording.Clean(a.Reason), a.Until.Local().Format("15:04:05"), code)
	}
	_ = table.Flush() // into a buffer
}
