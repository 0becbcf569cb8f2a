package agentcmd

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/agent"
	"github.com/sallyport/sallyport/cmd/internal/operator"
)

func trustExportCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "export",
		Short:   "Print the trust bundle: site, identity key, issuers, clients, accepted nodes",
		Example: "  sallyport-agent trust export > ngh-trust.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := operator.LoadOwned[agent.Config](cmd)
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
