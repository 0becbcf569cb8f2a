package agentcmd

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/agent"
	"github.com/sallyport/sallyport/cmd/internal/operator"
)

func serveCommand() *cobra.Command {
	return operator.Serve[agent.Config](operator.Service[agent.Config, *agent.Agent]{
		Short: "Run the agent until it is told to stop", Live: agent.Live(),
		Open: func(_ context.Context, cfg agent.Config, log *slog.Logger) (*agent.Agent, error) {
			return agent.New(cfg, log)
		},
	})
}
