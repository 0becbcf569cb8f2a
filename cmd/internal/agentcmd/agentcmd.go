// Package agentcmd is the hospital operator's command: serve, doctor, enrol, trust,
// status, kill, freeze and thaw. The last four speak to the running agent over its unix
// socket, so they work with the broker gone; trust reads and writes the agent's state.
package agentcmd

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/agent"
	"github.com/sallyport/sallyport/cmd/internal/config"
	"github.com/sallyport/sallyport/cmd/internal/operator"
	"github.com/sallyport/sallyport/session"
)

// Main runs the command and returns its exit code.
func Main(args []string, stdout, stderr io.Writer) int {
	return operator.Run(New(), args, stdout, stderr)
}

// New is the command tree.
func New() *cobra.Command {
	root := &cobra.Command{
		Use:   "sallyport-agent",
		Short: "The hospital's side of Sallyport: verifies, logs in, records, ends",
	}
	root.PersistentFlags().String("config", "/etc/sallyport/agent.yaml", "configuration file")
	root.PersistentFlags().String("socket", "", "the running agent's socket (default: from the configuration)")
	root.PersistentFlags().Bool("json", false, "answers and errors as JSON")
	root.AddCommand(serveCommand(), checkCommand(), enrolCommand(), trustCommand(), statusCommand(), killCommand(), freezeCommand(), thawCommand(), doctorCommand())
	return root
}

func load(cmd *cobra.Command) (agent.Config, error) {
	var cfg agent.Config
	path, _ := cmd.Flags().GetString("config")
	return cfg, config.Load(path, &cfg)
}

func serveCommand() *cobra.Command {
	return operator.Serve("Run the agent until it is told to stop", func(cmd *cobra.Command, log *slog.Logger) (operator.Server, error) {
		cfg, err := load(cmd)
		if err != nil {
			return nil, err
		}
		return agent.New(cfg, log)
	})
}

func checkCommand() *cobra.Command {
	return operator.Check(func(cmd *cobra.Command) error { _, err := load(cmd); return err })
}

func enrolCommand() *cobra.Command {
	var token, tokenFile, identity string
	cmd := &cobra.Command{
		Use:   "enrol (--token TOKEN | --token-file FILE)",
		Short: "Make this agent's keys and join the broker",
		Long: `Make this agent's keys and join the broker with a one-time token.

Two things are made that outlive every certificate: the agent's identity key,
which signs recordings and never leaves this machine, and the input identity,
which opens what engineers typed. The input identity is written to the file you
name and NOT kept here: store it offline, at the hospital.`,
		Example: "  sallyport-agent enrol --token-file /run/secrets/join --input-identity /root/ngh-input.txt",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(cmd)
			if err != nil {
				return err
			}
			if tokenFile != "" {
				raw, err := os.ReadFile(tokenFile)
				if err != nil {
					return &session.Error{Kind: session.Invalid, Message: "The join token's file cannot be read", Err: err}
				}
				token = string(raw)
			}
			done, err := agent.Enrol(cmd.Context(), cfg, token, identity)
			if err != nil {
				return err
			}
			if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(done)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Enrolled as agent %s of site %s.\nIdentity key: %s\n", done.Agent, done.Site, done.Fingerprint)
			if done.InputIdentity != "" {
				fmt.Fprintf(cmd.OutOrStdout(), "The hospital's input identity is in %s. Move it to a safe place: it is not kept here.\n", done.InputIdentity)
			}
			fmt.Fprintln(cmd.OutOrStdout(), "Next: sallyport-agent trust export > trust.json, and hand that file to approvers, engineers and auditors.")
			return nil
		},
	}
	cmd.Flags().StringVar(&token, "token", "", "the join token")
	cmd.Flags().StringVar(&tokenFile, "token-file", "", "a file that holds the join token")
	cmd.Flags().StringVar(&identity, "input-identity", "input-identity.txt", "where to write the hospital's input identity")
	return cmd
}
