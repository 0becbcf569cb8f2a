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
	"github.com/sallyport/sallyport/session/wording"
)

func statusCommand() *cobra.Command {
	return operator.Verb(&cobra.Command{
		Use:     "status",
		Short:   "Show whether the agent is connected, who is on which asset now, and who could be",
		Example: "  sallyport-agent status --socket /run/sallyport-agent/agent.sock",
	}, func(cmd *cobra.Command, _ []string) (st console.Status, err error) {
		c, err := running(cmd)
		if err != nil {
			return st, err
		}
		return c.Status(cmd.Context())
	}, tellStatus)
}

func tellStatus(out io.Writer, st console.Status) {
	link := "not connected to the broker"
	if st.Link.Up {
		link = "connected to the broker"
	}
	fmt.Fprintf(out, "Agent %s of site %s, %s since %s\n", st.Agent, st.Site, link, st.Link.Since.Local().Format("15:04:05"))
	fmt.Fprintf(out, "Identity key %s\n", st.Identity)
	if st.Page != nil {
		fmt.Fprintf(out, "Page for the people at the scanners %s, certificate %s\n", st.Page.URL, wording.Line(st.Page.Certificate, 200))
	}
	for _, t := range st.Barred {
		fmt.Fprintf(out, "FROZEN: %s. Nothing opens there until it is thawed.\n", wording.Clean(nameOf(t)))
	}
	if st.Clock != "" {
		fmt.Fprintln(out, "CLOCK: "+wording.Line(st.Clock, 400))
	}
	showLogs(out, st)
	for _, x := range st.Stuck {
		fmt.Fprintf(out, "Recording %s, since %s: %s\n  %s\n", x.Recording, x.Since.Local().Format("2006-01-02 15:04"), wording.Line(x.Message, 400), wording.Line(x.Next, 400))
		if x.Parts > 1 {
			fmt.Fprintf(out, "  %d parts of it are refused.\n", x.Parts)
		}
	}
	busy := map[string]bool{}
	for _, l := range st.Sessions {
		busy[l.Asset] = true
	}
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "ASSET\tSTATE\tENGINEER\tSESSION\tENDS")
	for _, l := range st.Sessions {
		state := "live"
		if len(l.Frozen) > 0 {
			state = "frozen (" + strings.Join(l.Frozen, ", ") + ")"
		}
		fmt.Fprintf(table, "%s\t%s on %s\t%s\t%s\t%s (in %s)\n", l.Asset, state, l.Service, wording.Clean(l.Engineer.Shown()), l.ID,
			l.Deadline.Local().Format("15:04"), time.Until(l.Deadline).Round(time.Second))
	}
	for _, a := range st.Assets {
		if !busy[a] {
			fmt.Fprintf(table, "%s\tnobody\t\t\t\n", a)
		}
	}
	_ = table.Flush() // into a buffer
	showReadings(out, st.Readings)
	showAdmitted(out, st.Admitted)
}

// showReadings lists what each source of a scanner's state says, and how its lamp does.
func showReadings(out io.Writer, all []console.Reading) {
	if len(all) == 0 {
		return
	}
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "\nSOURCE\tASSET\tSTATE\tSAYS\tSAID")
	for _, r := range all {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", r.Source, r.Asset, r.State, wording.Line(r.Says, 120), clock(r.At))
	}
	_ = table.Flush()
}

// showAdmitted lists what could be opened at any moment.
func showAdmitted(out io.Writer, grants []console.Grant) {
	if len(grants) == 0 {
		return
	}
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "\nAPPROVED, NOT OPENED\tENGINEER\tSESSION\tUNTIL")
	for _, g := range grants {
		fmt.Fprintf(table, "%s/%s\t%s\t%s\t%s\n", g.Asset, strings.Join(g.Services, ","), wording.Clean(g.Engineer.Shown()), g.ID,
			g.NotAfter.Local().Format("2006-01-02 15:04"))
	}
	_ = table.Flush()
}

// showLogs says how the audit logs of the broker's nodes stand, as this agent has seen
// them.
func showLogs(out io.Writer, st console.Status) {
	const second = "2006-01-02 15:04:05"
	for _, n := range st.Nodes {
		switch {
		case n.Trouble != "":
			fmt.Fprintf(out, "AUDIT LOG OF THE BROKER %s NOT BELIEVED since %s: %s\n", wording.Clean(n.Origin), n.Since.Local().Format(second), wording.Clean(n.Trouble))
			fmt.Fprintln(out, "  New requests and approvals are refused; live sessions go on, and ending them works.")
			fmt.Fprintf(out, "  When the broker's operators have explained it: sallyport-agent trust forget %s --yes, then trust accept\n", wording.Clean(n.Origin))
		case n.Taken.IsZero():
			fmt.Fprintf(out, "Audit log of the broker %s: no checkpoint seen yet, key %s\n", wording.Clean(n.Origin), n.Key)
		default:
			fmt.Fprintf(out, "Audit log of the broker %s: %d entries, checkpoint of %s, key %s\n", wording.Clean(n.Origin), n.Size, n.Taken.Local().Format(second), n.Key)
			for _, by := range n.Cosigned {
				fmt.Fprintf(out, "  cosigned by %s\n", wording.Clean(by))
			}
		}
	}
	for _, s := range st.Strangers {
		why := "which this hospital has not accepted"
		if s.Forged {
			why = "without the key that this hospital accepted"
		}
		fmt.Fprintf(out, "NOTHING NEW IS TAKEN FROM NODE %s since %s: it shows the audit log %s, %s\n", wording.Clean(s.Name), s.Since.Local().Format(second), wording.Clean(s.Origin), why)
	}
}
