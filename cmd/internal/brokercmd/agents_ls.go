package brokercmd

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker"
	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/cmd/internal/operator"
)

// agentView is an agent as agents ls shows it.
type agentView struct {
	which
	Identity string    `json:"identity"` // fingerprint
	State    string    `json:"state"`    // connected, away or revoked
	Node     string    `json:"node,omitempty"`
	Since    time.Time `json:"since,omitzero"`
	Assets   []string  `json:"assets"`
}

func agentsListCommand() *cobra.Command {
	return operator.Configured(&cobra.Command{
		Use:   "ls",
		Short: "List the agents, their keys, and whether they are connected",
		Long: `List the agents that have announced scanners, with the fingerprint of each one's identity key
and whether it is connected now, and to which node. An agent that has enrolled and was never
connected is not here yet.`,
	}, func(cmd *cobra.Command, cfg broker.Config, _ []string) ([]agentView, error) {
		all, err := broker.Agents(cmd.Context(), cfg)
		views := []agentView{}
		for _, a := range all {
			views = append(views, viewOf(a))
		}
		return views, err
	}, tellAgents)
}

func viewOf(a access.Enlisted) agentView {
	v := agentView{which: which{a.Site, a.Agent}, Identity: a.Identity, State: "away", Since: a.Since, Assets: a.Assets}
	switch {
	case !a.Revoked.IsZero():
		v.State, v.Since = "revoked", a.Revoked
	case a.Online:
		v.State, v.Node = "connected", a.Node
	}
	return v
}

func tellAgents(out io.Writer, all []agentView) {
	if len(all) == 0 {
		fmt.Fprintln(out, "No agent has announced itself yet. For one: sallyport-broker join-token --site SITE --agent NAME")
		return
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SITE\tAGENT\tSTATE\tSINCE\tSCANNERS\tKEY")
	for _, a := range all {
		state, since := a.State, "-"
		if a.Node != "" {
			state += " to " + a.Node
		}
		if !a.Since.IsZero() {
			since = a.Since.UTC().Format("2006-01-02 15:04Z")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\n", a.Site, a.Agent, state, since, len(a.Assets), a.Identity)
	}
	_ = w.Flush()
}
