package main

import (
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/internal/agentcmd"
	"github.com/sallyport/sallyport/cmd/internal/brokercmd"
	"github.com/sallyport/sallyport/cmd/internal/world"
	"github.com/sallyport/sallyport/session"
)

// demoCommand runs the whole system on loopback.
func (p *program) demoCommand() *cobra.Command {
	var o world.Options
	cmd := &cobra.Command{
		Use:   "demo --state DIR --ready FILE",
		Short: "Run a hospital, a vendor and a broker on this machine",
		Long: `Run the whole of Sallyport on loopback: a broker, one agent (site NGH), a vendor's
and the hospital's identity provider, Redis in memory and simulated scanners. It
asks nothing, prints how to walk through it, and runs until it is interrupted.

When everything is reachable it writes FILE: addresses, the people's homes, process
ids, as JSON. SALLYPORT_HOME=<a person's home> makes any other command act as that
person. With BROWSER='curl -sSLo /dev/null' sign-ins need no browser.`,
		Example: `  sallyport demo --state /tmp/demo --ready /tmp/demo.json
  sallyport demo --state /tmp/demo --ready /tmp/demo.json --agent-config my-sshd.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.State == "" {
				return session.Errorf(session.Invalid, "The demonstration needs a directory for its state").WithNext("Say --state DIR, or use make demo.")
			}
			o.Out = p.stdout
			o.Log = slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
			return world.Run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.State, "state", "", "directory for everything the demonstration writes")
	cmd.Flags().StringVar(&o.Ready, "ready", "", "file to write when everything is reachable")
	cmd.Flags().StringVar(&o.Web, "web", "", "loopback address of web and link (default 127.0.0.1:7080, or a free port)")
	cmd.Flags().StringVar(&o.SSH, "ssh", "", "loopback address of the jump host (default 127.0.0.1:7022, or a free port)")
	cmd.Flags().StringVar(&o.AgentConfig, "agent-config", "", "YAML whose assets replace the simulated ones")
	cmd.Flags().StringVar(&o.Redis, "redis", "", "URL of a Redis server to use instead of the one in memory")
	_ = cmd.Flags().MarkHidden("redis") // for tests that stop it
	return cmd
}

// demoChildren are what the demonstration starts this program as.
func demoChildren() []*cobra.Command {
	broker, agent := brokercmd.New(), agentcmd.New()
	broker.Use, agent.Use = world.BrokerChild, world.AgentChild
	for _, c := range []*cobra.Command{broker, agent} {
		c.Hidden = true
		c.SetErr(os.Stderr)
	}
	return []*cobra.Command{broker, agent}
}
