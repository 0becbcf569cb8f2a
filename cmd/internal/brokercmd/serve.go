package brokercmd

import (
	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker"
	"github.com/sallyport/sallyport/cmd/internal/operator"
)

func serveCommand() *cobra.Command {
	return operator.Serve[broker.Config](operator.Service[broker.Config, *broker.Broker]{
		Short: "Run this broker node until it is told to stop", Open: broker.New, Live: broker.Live(),
	})
}
