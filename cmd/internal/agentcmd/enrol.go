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
	cmd := operator.Verb(&cobra.Command{
		Use:   "enrol (--token-file FILE | --token TOKEN)",
		Short: "Make this agent's keys and join the broker",
		Long: `Make this agent's keys and join the broker with a one-time token.

The token comes from the broker's operators (sallyport-broker join-token) by a way that
both sides trust: read out on the phone is too long, an encrypted mail or the vendor's
ticket is good. --token-file - reads it from standard input, where no list of processes
shows it. An enrolment that fails does not spend it: mend what was said and run this
again within the token's hour. When root runs this, it acts as the state directory's owner.

Two things are made that outlive every certificate: the agent's identity key,
which signs recordings and never leaves this machine, and the input identity,
which opens what engineers typed. The input identity is written to the file you
name and NOT kept here: store it offline, at the hospital.`,
		Example: "  sallyport-agent enrol --token-file /run/secrets/join --input-identity /root/ngh-input.txt",
	}, func(cmd *cobra.Command, _ []string) (agent.Enrolled, error) {
		if tokenFile != "" { // before root becomes somebody who cannot read it
			raw, err := readToken(cmd.InOrStdin(), tokenFile)
			if err != nil {
				return agent.Enrolled{}, &session.Error{Kind: session.Invalid, Message: "The join token cannot be read", Next: "Name the file that holds it with --token-file, or pipe it in with --token-file -.", Err: err}
			}
			token = raw
		}
		cfg, err := operator.LoadOwned[agent.Config](cmd)
		if err != nil {
			return agent.Enrolled{}, err
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
	cmd.Flags().StringVar(&tokenFile, "token-file", "", "a file that holds the join token; - is standard input")
	cmd.Flags().StringVar(&identity, "input-identity", "input-identity.txt", "where to write the hospital's input identity")
	return cmd
}

func readToken(in io.Reader, file string) (string, error) {
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		defer f.Close()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxTokenFile))
	return string(raw), err
}
