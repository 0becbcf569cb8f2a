package agentcmd

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/agent"
	"github.com/sallyport/sallyport/cmd/internal/operator"
	"github.com/sallyport/sallyport/session"
)

func enrolCommand() *cobra.Command {
	var token, tokenFile, identity string
	cmd := operator.Configured(&cobra.Command{
		Use:   "enrol (--token TOKEN | --token-file FILE)",
		Short: "Make this agent's keys and join the broker",
		Long: `Make this agent's keys and join the broker with a one-time token.

Two things are made that outlive every certificate: the agent's identity key,
which signs recordings and never leaves this machine, and the input identity,
which opens what engineers typed. The input identity is written to the file you
name and NOT kept here: store it offline, at the hospital.`,
		Example: "  sallyport-agent enrol --token-file /run/secrets/join --input-identity /root/ngh-input.txt",
	}, func(cmd *cobra.Command, cfg agent.Config, _ []string) (agent.Enrolled, error) {
		if tokenFile != "" {
			raw, err := os.ReadFile(tokenFile)
			if err != nil {
				return agent.Enrolled{}, &session.Error{Kind: session.Invalid, Message: "The join token's file cannot be read", Err: err}
			}
			token = string(raw)
		}
		return agent.Enrol(cmd.Context(), cfg, token, identity)
	}, func(out io.Writer, done agent.Enrolled) {
		fmt.Fprintf(out, "Enrolled as agent %s of site %s.\nIdentity key: %s\n", done.Agent, done.Site, done.Fingerprint)
		if done.InputIdentity != "" {
			fmt.Fprintf(out, "The hospital's input identity is in %s. Move it to a safe place: it is not kept here.\n", done.InputIdentity)
		}
		fmt.Fprintln(out, "Next: sallyport-agent trust export > trust.json, and hand that file to approvers, engineers and auditors.")
	})
	cmd.Flags().StringVar(&token, "token", "", "the join token")
	cmd.Flags().StringVar(&tokenFile, "token-file", "", "a file that holds the join token")
	cmd.Flags().StringVar(&identity, "input-identity", "input-identity.txt", "where to write the hospital's input identity")
	return cmd
}
