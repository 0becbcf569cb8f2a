package brokercmd

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker"
	"github.com/sallyport/sallyport/cmd/internal/operator"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// eventsView is events as audit shows them. Before goes on with older ones; 0: there are none.
type eventsView struct {
	Log    string          `json:"log"`
	Events []witness.Event `json:"events"`
	Before int64           `json:"before"`
}

func auditCommand() *cobra.Command {
	var last int
	var before int64
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Show the newest events of this node's audit log that belong to no hospital",
		Long: `Show the newest events of this node's audit log that belong to no hospital: starts and
reloads, sign-ins and refused sign-ins of vendors and strangers, and what is no site's. No page and
no call of the broker shows them to anybody; a hospital reads its own with sallyport audit.

It reads the log where it lies, beside the running broker, and holds it against the last
signed checkpoint. Each node has a log of its own: run it on each. When root runs it, it
acts as the state directory's owner.`,
		Example: "  sallyport-broker audit --last 100\n  sallyport-broker audit -o json --before 4711",
	}
	cmd.Flags().IntVar(&last, "last", 20, "how many, at most 500")
	cmd.Flags().Int64Var(&before, "before", 0, "only events before this number")
	for _, name := range []string{"last", "before"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if last < 1 || last > maxEvents || before < 0 {
			return session.Errorf(session.Invalid, "The number of events is between 1 and %d, and they are before a number of the log", maxEvents).
				WithNext("Example: sallyport-broker audit --last 100")
		}
		return nil
	}
	return operator.Configured(cmd, func(_ *cobra.Command, cfg broker.Config, _ []string) (eventsView, error) {
		found, err := broker.ReadOperatorEvents(cfg, last, before)
		return eventsView{found.Log, append([]witness.Event{}, found.Events...), found.Older}, err
	}, tellEvents)
}

func tellEvents(out io.Writer, v eventsView) {
	if len(v.Events) == 0 {
		fmt.Fprintf(out, "The audit log %s has no event here that belongs to no hospital.\n", wording.Clean(v.Log))
	} else {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "NUMBER\tTIME\tEVENT\tWHO\tABOUT")
		for _, e := range v.Events {
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", e.Seq, e.Time.UTC().Format("2006-01-02 15:04:05Z"), wording.Clean(e.Event), wording.Clean(whoOf(e)), wording.Clean(aboutOf(e)))
		}
		_ = w.Flush()
	}
	if v.Before > 0 {
		fmt.Fprintf(out, "There are older ones: sallyport-broker audit --before %d\n", v.Before)
	}
}

func whoOf(e witness.Event) string {
	if e.Who == nil {
		return "-"
	}
	return session.Person{Identity: *e.Who}.Shown()
}

// aboutOf is the rest of an event in one line.
func aboutOf(e witness.Event) string {
	var about []string
	for _, id := range []string{e.Request, e.Session, e.Recording} {
		if id != "" {
			about = append(about, id)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(e.Details)) {
		about = append(about, k+"="+e.Details[k])
	}
	return cmp.Or(strings.Join(about, " "), "-")
}
