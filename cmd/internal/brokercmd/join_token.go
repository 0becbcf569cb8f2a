package brokercmd

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker"
	"github.com/sallyport/sallyport/cmd/internal/operator"
	"github.com/sallyport/sallyport/session"
)

// joinToken is the answer of join-token.
type joinToken struct {
	Token   string    `json:"token"`
	Site    string    `json:"site"`
	Agent   string    `json:"agent"`
	Expires time.Time `json:"expires"`
}

func joinTokenCommand() *cobra.Command {
	var t joinToken
	var valid time.Duration
	cmd := &cobra.Command{
		Use:     "join-token --site SITE --agent NAME",
		Short:   "Make a one-time token with which an agent enrols",
		Long:    "Make a one-time token with which one agent of one site enrols. Hand it to the hospital over a channel you trust: it names this broker, carries the fingerprint of its CA, and works once, for an hour at most. An enrolment that fails does not spend it. When root runs this, it acts as the state directory's owner.",
		Example: "  sallyport-broker join-token --site NGH --agent ngh-1",
	}
	operator.Verb(cmd, func(cmd *cobra.Command, _ []string) (joinToken, error) {
		if !session.ValidName(t.Site) || !session.ValidName(t.Agent) {
			return t, session.Errorf(session.Invalid, "A join token names a site and an agent").WithNext("Example: sallyport-broker join-token --site NGH --agent ngh-1")
		}
		cfg, err := operator.LoadOwned[broker.Config](cmd)
		if err != nil {
			return t, err
		}
		t.Token, err = broker.JoinToken(cmd.Context(), cfg, t.Site, t.Agent, valid)
		t.Expires = time.Now().Add(valid).UTC().Truncate(time.Second)
		return t, err
	}, func(out io.Writer, t joinToken) {
		fmt.Fprintln(out, t.Token)
		fmt.Fprintf(cmd.ErrOrStderr(), "Valid for one agent, for %s, and secret until it has enrolled. Send the line to the hospital by a way that\nboth sides trust; on the agent's machine: sallyport-agent enrol --token-file -\n", valid)
	})
	cmd.Flags().StringVar(&t.Site, "site", "", "the hospital site")
	cmd.Flags().StringVar(&t.Agent, "agent", "", "the agent's name within the site")
	cmd.Flags().DurationVar(&valid, "valid", time.Hour, "how long it works, at most 1h")
	return cmd
}
