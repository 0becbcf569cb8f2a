package agentcmd

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/agent"
	"github.com/sallyport/sallyport/session"
)

func trustCommand() *cobra.Command {
	parent := &cobra.Command{Use: "trust", Short: "Whom this hospital trusts: the bundle for people, and the nodes of the broker"}
	parent.AddCommand(trustExportCommand(), trustListCommand(), trustAcceptCommand(), trustForgetCommand())
	return parent
}

func trustExportCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "export",
		Short:   "Print the trust bundle: site, identity key, issuers, clients, accepted nodes",
		Example: "  sallyport-agent trust export > ngh-trust.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(cmd)
			if err != nil {
				return err
			}
			bundle, err := agent.Trust(cfg)
			if err != nil {
				return err
			}
			enc := json.NewEncoder(cmd.OutOrStdout())
			enc.SetIndent("", "  ")
			return enc.Encode(bundle)
		},
	}
}

func trustListCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the broker's nodes that this hospital accepts",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(cmd)
			if err != nil {
				return err
			}
			all, err := agent.AcceptedNodes(cfg)
			if err != nil {
				return err
			}
			if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(append(session.Nodes{}, all...))
			}
			if len(all) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "No node of the broker is accepted yet. Enrolling accepts the first.")
				return nil
			}
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
			fmt.Fprintln(table, "AUDIT LOG\tACCEPTED\tKEY")
			for _, n := range all {
				fmt.Fprintf(table, "%s\t%s\t%s\n", n.Origin, n.Since.Local().Format("2006-01-02 15:04"), n.Key)
			}
			return table.Flush()
		},
	}
}

func trustAcceptCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "accept ORIGIN KEY",
		Short: "Accept a node of the broker: the name of its audit log, and its key",
		Long: `Accept a node of the broker: the name of its audit log, and the key that signs the log
and countersigns recordings. Take both from the broker's operators by a way that is not
the broker. It counts at once; the trust bundle names the node from then on, so hand out
a new one.`,
		Example: `  sallyport-agent trust accept access.example.org/node2 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA..."`,
		Args:    cobra.RangeArgs(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			key := args[1]
			if len(args) == 3 { // a key line without quotes
				key += " " + args[2]
			}
			return changeTrust(cmd, func(cfg agent.Config) (session.Node, error) {
				return agent.AcceptNode(cfg, args[0], key, time.Now())
			}, "Accepted. Hand out a new bundle: sallyport-agent trust export")
		},
	}
}

func trustForgetCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "forget ORIGIN --yes",
		Short: "Take nothing more from a node of the broker",
		Long: `Take nothing more from a node of the broker. What was kept of its audit log stays in
the state directory, as evidence. Accepting it again begins anew with its log: this is
also for the day after a node lost its log or its key and its operators explained how.
Recordings that it countersigned verify with the bundles that name it; keep one.`,
		Example: "  sallyport-agent trust forget access.example.org/node2 --yes",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes {
				return session.Errorf(session.Invalid, "This gives up the proof that the node's log was not rewritten").WithNext("If that is meant, add --yes.")
			}
			return changeTrust(cmd, func(cfg agent.Config) (session.Node, error) { return agent.ForgetNode(cfg, args[0]) },
				"Forgotten. To begin anew with it: sallyport-agent trust accept")
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "yes, nothing more is to be taken from it")
	return cmd
}

func changeTrust(cmd *cobra.Command, change func(agent.Config) (session.Node, error), done string) error {
	cfg, err := load(cmd)
	if err != nil {
		return err
	}
	n, err := change(cfg)
	if err != nil {
		return err
	}
	if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(n)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s\n%s\n%s\n", n.Origin, n.Key, done)
	return nil
}
