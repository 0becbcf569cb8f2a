package agentcmd

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/agent"
	"github.com/sallyport/sallyport/cmd/internal/operator"
)

func checkCommand() *cobra.Command {
	var login bool
	cmd := operator.Check(&cobra.Command{
		Short: "Read the configuration, look at what it needs, and say all that is missing",
		Long: `Read the configuration and look at what it needs: the state directory, the enrolment, the
proxy, the identity providers that answer, and every device's secrets; with --login also each device, up to a real login that is
logged out at once. All that is missing is said at once. The way to the broker is doctor's.
When root runs this, it looks as the state directory's owner.`,
	}, func(ctx context.Context, cfg agent.Config) ([]error, []string) { return agent.Ready(ctx, cfg, login) })
	cmd.Flags().BoolVar(&login, "login", false, "log in to every device, and out again")
	return cmd
}
