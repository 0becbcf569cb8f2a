package brokercmd

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker"
	"github.com/sallyport/sallyport/cmd/internal/operator"
)

// replacement is the answer of agents replace.
type replacement struct {
	joinToken
	Replaces string `json:"replaces"` // fingerprint of the identity that goes
}

func agentsReplaceCommand() *cobra.Command {
	var a which
	var valid time.Duration
	cmd := &cobra.Command{
		Use:   "replace --site SITE --agent NAME",
		Short: "Make a join token for the machine that takes an agent's place",
		Long: `Make a one-time join token for the machine that takes the place of an agent whose machine
died: same name, another identity key. As the new one enrols, all that the old one has is
revoked, and the audit log holds both keys. What the old one recorded stays, and its key
stays known as the one that signed it. The hospital exports its trust bundle anew, and
people import it with --replace.`,
		Example: "  sallyport-broker agents replace --site NGH --agent ngh-1",
	}
	operator.Verb(cmd, func(cmd *cobra.Command, _ []string) (replacement, error) {
		cfg, err := a.named(cmd)
		if err != nil {
			return replacement{}, err
		}
		j, err := broker.JoinToken(cmd.Context(), cfg, a.Site, a.Agent, true, valid)
		return replacement{tokenOf(a, j, valid), j.Known}, err
	}, func(out io.Writer, r replacement) {
		fmt.Fprintln(out, r.Token)
		fmt.Fprintf(cmd.ErrOrStderr(), "For the machine that takes the place of the one with the key %s, for %s. On it: sallyport-agent enrol --token-file -\nThen the hospital hands out its trust bundle anew (sallyport-agent trust export), which people import with --replace.\n", r.Replaces, valid)
	})
	a.flags(cmd)
	cmd.Flags().DurationVar(&valid, "valid", time.Hour, "how long it works, at most 1h")
	return cmd
}
