// Package brokercmd is the broker operator's command: serve, join-token, log-key.
package brokercmd

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker"
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
		Use:   "sallyport-broker",
		Short: "The meeting place of Sallyport: sign-in, requests, approvals, routing, vault",
	}
	root.PersistentFlags().String("config", "/etc/sallyport/broker.yaml", "configuration file")
	root.PersistentFlags().Bool("json", false, "answers and errors as JSON")
	root.AddCommand(serveCommand(), joinTokenCommand(), logKeyCommand(), checkCommand())
	return root
}

func load(cmd *cobra.Command) (broker.Config, error) {
	var cfg broker.Config
	path, _ := cmd.Flags().GetString("config")
	return cfg, config.Load(path, &cfg)
}

func serveCommand() *cobra.Command {
	return operator.Serve("Run this broker node until it is told to stop", func(cmd *cobra.Command, log *slog.Logger) (operator.Server, error) {
		cfg, err := load(cmd)
		if err != nil {
			return nil, err
		}
		return broker.New(cmd.Context(), cfg, log)
	})
}

func checkCommand() *cobra.Command {
	return operator.Check(func(cmd *cobra.Command) error { _, err := load(cmd); return err })
}

func logKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "log-key",
		Short: "Print the name and the key of this node's audit log, as a hospital accepts them",
		Long: `Print the name and the key of this node's audit log. Hand both to the hospitals by a way
that is not the broker: each accepts the node with sallyport-agent trust accept. The node
with which an agent enrols is accepted by enrolling.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(cmd)
			if err != nil {
				return err
			}
			n, err := broker.AuditNode(cfg)
			if err != nil {
				return err
			}
			if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(n)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %q\n", n.Origin, n.Key)
			return err
		},
	}
}

func joinTokenCommand() *cobra.Command {
	var site, agent string
	var valid time.Duration
	cmd := &cobra.Command{
		Use:     "join-token --site SITE --agent NAME",
		Short:   "Make a one-time token with which an agent enrols",
		Long:    "Make a one-time token with which one agent of one site enrols. Hand it to the hospital over a channel you trust: it names this broker, carries the fingerprint of its CA, and works once, for an hour at most.",
		Example: "  sallyport-broker join-token --site NGH --agent ngh-1",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !session.ValidName(site) || !session.ValidName(agent) {
				return session.Errorf(session.Invalid, "A join token names a site and an agent").WithNext("Example: sallyport-broker join-token --site NGH --agent ngh-1")
			}
			cfg, err := load(cmd)
			if err != nil {
				return err
			}
			token, err := broker.JoinToken(cmd.Context(), cfg, site, agent, valid)
			if err != nil {
				return err
			}
			if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"token": token, "site": site, "agent": agent, "expires": time.Now().Add(valid).UTC().Truncate(time.Second)})
			}
			fmt.Fprintln(cmd.OutOrStdout(), token)
			fmt.Fprintf(cmd.ErrOrStderr(), "Valid once, for %s. On the agent's machine: sallyport-agent enrol --token TOKEN\n", valid)
			return nil
		},
	}
	cmd.Flags().StringVar(&site, "site", "", "the hospital site")
	cmd.Flags().StringVar(&agent, "agent", "", "the agent's name within the site")
	cmd.Flags().DurationVar(&valid, "valid", time.Hour, "how long it works, at most 1h")
	return cmd
}
