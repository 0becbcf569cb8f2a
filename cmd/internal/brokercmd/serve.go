package brokercmd

import (
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker"
	"github.com/sallyport/sallyport/cmd/internal/operator"
)

func serveCommand() *cobra.Command {
	return operator.Serve("Run this broker node until it is told to stop", func(cmd *cobra.Command, log *slog.Logger) (operator.Server, error) {
		cfg, err := operator.Load[broker.Config](cmd)
		if err != nil {
			return nil, err
		}
		if err := operator.NotForAnother(cfg.State); err != nil {
			return nil, err
		}
		return broker.New(cmd.Context(), cfg, log)
	})
}
