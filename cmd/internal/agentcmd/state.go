package agentcmd

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/agent/console"
	"github.com/sallyport/sallyport/cmd/internal/operator"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

func stateCommand() *cobra.Command {
	cmd := listing(&cobra.Command{
		Use:   "state",
		Short: "Show what state the scanners are in, or say it: the operator's switch",
		Long: `What a session may do follows the state of its scanner. A state in which its class does
not work stops everything that the engineer types and sends, at once; what the scanner
shows goes on. When the state allows it again, thaw lets the session go on.`,
	})
	cmd.AddCommand(listing(&cobra.Command{
		Use:     "ls",
		Short:   "Show what state the scanners are in, and who says so",
		Example: "  sallyport-agent state ls --asset NGH-PETCT1",
	}), stateSetCommand())
	return cmd
}

// listing completes a verb that shows states.
func listing(cmd *cobra.Command) *cobra.Command {
	operator.Verb(cmd, func(cmd *cobra.Command, _ []string) ([]console.State, error) {
		c, err := running(cmd)
		if err != nil {
			return nil, err
		}
		all, err := c.States(cmd.Context())
		asset, _ := cmd.Flags().GetString("asset")
		if err != nil || asset == "" {
			return all, err
		}
		for _, s := range all {
			if s.Asset == asset {
				return []console.State{s}, nil
			}
		}
		return nil, session.Errorf(session.Invalid, "This agent has no asset %.64q", asset).WithNext("See sallyport-agent status.")
	}, showStates)
	cmd.Flags().String("asset", "", "this one alone")
	return cmd
}

func stateSetCommand() *cobra.Command {
	var names []string
	for _, s := range session.ModalityStates() {
		names = append(names, string(s))
	}
	cmd := operator.Verb(&cobra.Command{
		Use:   "set STATE --asset ASSET",
		Short: "Say what state a scanner is in: " + strings.Join(names, ", "),
		Long: `Say what state a scanner is in. What restricts (patient-on-table, scanning, unknown) holds
until something else is said, and stops at once whoever may not work then. What permits
(in-service, idle, down) holds for an hour unless --for says otherwise, 12 hours at the
most, and counts as unknown after that. in-service says that nobody is on the table, and
that nobody will be: only then may disruptive work go on. Other sources of the
scanner's state can be more restrictive than this switch, and then win.`,
		Example:   "  sallyport-agent state set in-service --asset NGH-PETCT1 --for 2h\n  sallyport-agent state set patient-on-table --asset NGH-PETCT1",
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: names,
	}, func(cmd *cobra.Command, args []string) (console.State, error) {
		var s console.Switch
		s.Asset, _ = cmd.Flags().GetString("asset")
		if len(args) == 0 || s.Asset == "" {
			return console.State{}, session.Errorf(session.Invalid, "Say the state, and of which scanner.").WithNext("As in: sallyport-agent state set idle --asset NGH-PETCT1")
		}
		s.State = session.ModalityState(args[0])
		s.For, _ = cmd.Flags().GetString("for")
		if _, err := s.Hold(); err != nil {
			return console.State{}, err
		}
		c, err := running(cmd)
		if err != nil {
			return console.State{}, err
		}
		return c.Set(cmd.Context(), s)
	}, func(out io.Writer, s console.State) { showStates(out, []console.State{s}) })
	cmd.Flags().String("asset", "", "the scanner")
	cmd.Flags().String("for", "", "how long it holds, as 30m or 2h")
	return cmd
}

func showStates(out io.Writer, all []console.State) {
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "ASSET\tSTATE\tSINCE\tUNTIL\tSAID BY")
	for _, s := range all {
		if s.Interlock == "none" {
			fmt.Fprintf(table, "%s\tinterlock: none\t\t\t\n", s.Asset)
			continue
		}
		by := s.Source
		if s.Detail != "" {
			by += ": " + s.Detail
		}
		if s.Shut != "" {
			by += "; nothing opens now: " + s.Shut
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", s.Asset, s.State, clock(s.Since), clock(s.Until), wording.Clean(by))
	}
	_ = table.Flush() // into a buffer
}

func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04")
}
