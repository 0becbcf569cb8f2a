package brokercmd

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker"
	"github.com/sallyport/sallyport/cmd/internal/operator"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// eventsView is events as audit shows them, and the logs of all nodes.
type eventsView struct {
	Events []eventView `json:"events"`
	Logs   []logView   `json:"logs"`
}

type eventView struct {
	Log string `json:"log"`
	witness.Event
}

// logView is how far a log was read. Before goes on with older ones; 0: there are none.
// LeftOut is why nothing of it is shown.
type logView struct {
	Log     string `json:"log"`
	Before  int64  `json:"before"`
	LeftOut string `json:"left_out,omitempty"`
}

func auditCommand() *cobra.Command {
	var q broker.OperatorQuestion
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Show the newest events of the audit logs that belong to no hospital",
		Long: `Show the newest events of the audit logs that belong to no hospital: starts and
reloads, sign-ins and refused sign-ins of vendors and strangers, and what is no site's. No page and
no call of the broker shows them to anybody; a hospital reads its own with sallyport audit.

It reads this node's log where it lies, beside the running broker, and those of the other nodes
that this one has seen from their copies in the vault, a second or two behind. Each is held against
its last signed checkpoint. A log of which nothing is shown is named, with the reason. When root
runs it, it acts as the state directory's owner.`,
		Example: "  sallyport-broker audit --last 100\n  sallyport-broker audit -o json --log broker.example.org/b --before 4711",
	}
	cmd.Flags().IntVar(&q.Last, "last", 20, "how many, at most 500")
	cmd.Flags().StringVar(&q.Log, "log", "", "only of the log of this name")
	cmd.Flags().Int64Var(&q.Before, "before", 0, "only events before this number of the log")
	for _, name := range []string{"last", "log", "before"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if q.Last < 1 || q.Last > maxEvents || q.Before < 0 {
			return session.Errorf(session.Invalid, "The number of events is between 1 and %d, and they are before a number of the log", maxEvents).
				WithNext("Example: sallyport-broker audit --last 100")
		}
		return nil
	}
	return operator.Configured(cmd, func(cmd *cobra.Command, cfg broker.Config, _ []string) (eventsView, error) {
		found, err := broker.ReadOperatorEvents(cmd.Context(), cfg, q)
		v := eventsView{Events: []eventView{}, Logs: []logView{}}
		for _, e := range found.Events {
			v.Events = append(v.Events, eventView(e))
		}
		for _, l := range found.Logs {
			v.Logs = append(v.Logs, logView{Log: l.Log, Before: l.Older, LeftOut: l.LeftOut})
		}
		return v, err
	}, tellEvents)
}

func tellEvents(out io.Writer, v eventsView) {
	several := len(v.Logs) > 1
	if len(v.Events) == 0 {
		fmt.Fprintln(out, "There is no event here that belongs to no hospital.")
	} else {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "NUMBER\tTIME\tEVENT\tWHO\tABOUT")
		for _, e := range v.Events {
			number := strconv.FormatInt(e.Seq, 10)
			if several {
				number = path.Base(e.Log) + "/" + number
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", wording.Clean(number), e.Time.UTC().Format("2006-01-02 15:04:05Z"), wording.Clean(e.Event.Event), wording.Clean(whoOf(e.Event)), wording.Clean(aboutOf(e.Event)))
		}
		_ = w.Flush()
	}
	for _, l := range v.Logs {
		switch of := " --log " + wording.Clean(l.Log); {
		case l.LeftOut != "":
			fmt.Fprintf(out, "LEFT OUT: the audit log %s, because %s.\n", wording.Clean(l.Log), wording.Clean(l.LeftOut))
		case l.Before > 0 && several:
			fmt.Fprintf(out, "There are older ones: sallyport-broker audit%s --before %d\n", of, l.Before)
		case l.Before > 0:
			fmt.Fprintf(out, "There are older ones: sallyport-broker audit --before %d\n", l.Before)
		}
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
