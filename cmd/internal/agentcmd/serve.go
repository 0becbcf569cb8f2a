package agentcmd

import (
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/agent"
	"github.com/sallyport/sallyport/cmd/internal/operator"
)

func serveCommand() *cobra.Command {
	return operator.Serve("Run the agent until it is told to stop", func(cmd *cobra.Command, log *slog.Logger) (operator.Server, error) {
		cfg, err := operator.Load[agent.Config](cmd)
		if err != nil {
			return nil, err
		}
		if err := operator.NotForAnother(cfg.State); err != nil {
			return nil, err
		}
		return agent.New(cfg, log)
	})
}
