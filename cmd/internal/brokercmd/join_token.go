package brokercmd

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker"
	"github.com/sallyport/sallyport/cmd/internal/operator"
)

// joinToken is the answer of join-token.
type joinToken struct {
	Token string `json:"token"`
	which
	Expires  time.Time `json:"expires"`
	Identity string    `json:"identity,omitempty"` // fingerprint of the only key that it is for
}

func tokenOf(a which, j broker.Join, valid time.Duration) joinToken {
	return joinToken{Token: j.Token, which: a, Expires: time.Now().Add(valid).UTC().Truncate(time.Second)}
}

func joinTokenCommand() *cobra.Command {
	var a which
	var valid time.Duration
	cmd := &cobra.Command{
		Use:     "join-token --site SITE --agent NAME",
		Short:   "Make a one-time token with which an agent enrols",
		Long:    "Make a one-time token with which one agent of one site enrols. Hand it to the hospital over a channel you trust: it names this broker, carries the fingerprint of its CA, and works once, for an hour at most. An enrolment that fails does not spend it. An agent that was here before enrols again with the key that it has; for another machine in its place there is agents replace. When root runs this, it acts as the state directory's owner.",
		Example: "  sallyport-broker join-token --site NGH --agent ngh-1",
	}
	operator.Verb(cmd, func(cmd *cobra.Command, _ []string) (joinToken, error) {
		cfg, err := a.named(cmd)
		if err != nil {
			return joinToken{}, err
		}
		j, err := broker.JoinToken(cmd.Context(), cfg, a.Site, a.Agent, false, valid)
		t := tokenOf(a, j, valid)
		t.Identity = j.Known
		return t, err
	}, func(out io.Writer, t joinToken) {
		fmt.Fprintln(out, t.Token)
		fmt.Fprintf(cmd.ErrOrStderr(), "Valid for one agent, for %s, and secret until it has enrolled. Send the line to the hospital by a way that\nboth sides trust; on the agent's machine: sallyport-agent enrol --token-file -\n", valid)
		if t.Identity != "" {
			fmt.Fprintf(cmd.ErrOrStderr(), "This agent was here before: the token is for the machine that has the key %s.\nFor another machine in its place: sallyport-broker agents replace --site %s --agent %s\n", t.Identity, t.Site, t.Agent)
		}
	})
	a.flags(cmd)
	cmd.Flags().DurationVar(&valid, "valid", time.Hour, "how long it works, at most 1h")
	return cmd
}
