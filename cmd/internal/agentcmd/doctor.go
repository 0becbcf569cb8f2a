package agentcmd

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/agent"
	"github.com/sallyport/sallyport/agent/doctor"
	"github.com/sallyport/sallyport/cmd/internal/operator"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

func doctorCommand() *cobra.Command {
	var noLogin, approval, request bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look this agent over and name what is wrong, with the next step",
		Long: `Look this agent over: configuration, state directory, disk, certificate, clock, the
way to each broker node, each identity provider's keys, and each device up to a real
login, which is logged out at once. It changes nothing and works beside the running
agent. It exits with 1 when something fails; no secret is printed.`,
		Example: "  sallyport-agent doctor\n  sallyport-agent doctor --no-login --json\n  sallyport-agent doctor --approval",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var report doctor.Report
			var err error
			switch {
			case approval:
				report, err = try(cmd, session.Approver)
			case request:
				report, err = try(cmd, session.Engineer)
			default:
				report = diagnose(cmd, !noLogin)
			}
			if err != nil {
				return err
			}
			if err := operator.Tell(cmd, report, tellReport); err != nil {
				return err
			}
			if report.Failed() {
				return &session.Error{Kind: session.Unreachable, Message: "Something is wrong with this agent", Next: "See the lines that say fail."}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&approval, "approval", false, "sign in once as an approver would, and say claim by claim what came")
	cmd.Flags().BoolVar(&request, "request", false, "sign in once as an engineer would, and say claim by claim what came")
	cmd.Flags().BoolVar(&noLogin, "no-login", false, "do not log in to the devices")
	cmd.MarkFlagsMutuallyExclusive("approval", "request", "no-login")
	return cmd
}

// diagnose is the report, of which the configuration is the first line.
func diagnose(cmd *cobra.Command, login bool) doctor.Report {
	cfg, err := operator.LoadOwned[agent.Config](cmd)
	path, _ := cmd.Flags().GetString("config")
	if err != nil {
		c := doctor.Check{Name: "configuration", Result: doctor.Fail, Says: err.Error(), Next: "Mend the file and run this again."}
		var e *session.Error
		if errors.As(err, &e) {
			c.Says, c.Next = e.Message, e.Next
		}
		return doctor.Report{Checks: []doctor.Check{c}}
	}
	report := agent.Diagnose(cmd.Context(), cfg, login)
	first := doctor.Check{Name: "configuration", Result: doctor.OK, Says: path + " can be used."}
	report.Checks = append([]doctor.Check{first}, report.Checks...)
	return report
}

func tellReport(out io.Writer, r doctor.Report) {
	for _, c := range r.Checks {
		fmt.Fprintf(out, "%-4s  %s: %s\n", c.Result, wording.Clean(c.Name), wording.Clean(c.Says))
		if c.Next != "" {
			fmt.Fprintf(out, "      Next: %s\n", wording.Clean(c.Next))
		}
	}
	if len(r.Ask) > 0 {
		fmt.Fprintln(out, "\nAsk the hospital's IT to let this machine out to:")
	}
	for _, line := range r.Ask {
		fmt.Fprintf(out, "  - %s\n", wording.Clean(line))
	}
}
