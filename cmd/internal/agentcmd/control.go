package agentcmd

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/agent/console"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// running reaches the running agent: by --socket, or where the configuration says.
func running(cmd *cobra.Command) (*console.Client, error) {
	if socket, _ := cmd.Flags().GetString("socket"); socket != "" {
		return &console.Client{Socket: socket}, nil
	}
	cfg, err := load(cmd)
	return &console.Client{Socket: cfg.Socket}, err
}

func statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Show whether the agent is connected, and who is on which asset now",
		Example: "  sallyport-agent status --socket /run/sallyport-agent/agent.sock",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := running(cmd)
			if err != nil {
				return err
			}
			st, err := c.Status(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(st)
			}
			return show(cmd, st)
		},
	}
}

func show(cmd *cobra.Command, st console.Status) error {
	out := cmd.OutOrStdout()
	link := "not connected to the broker"
	if st.Link.Up {
		link = "connected to the broker"
	}
	fmt.Fprintf(out, "Agent %s of site %s, %s since %s\n", st.Agent, st.Site, link, st.Link.Since.Local().Format("15:04:05"))
	fmt.Fprintf(out, "Identity key %s\n", st.Identity)
	showLogs(out, st)
	for _, x := range st.Stuck {
		fmt.Fprintf(out, "Recording %s, since %s: %s\n  %s\n", x.Recording, x.Since.Local().Format("2006-01-02 15:04"), wording.Line(x.Message, 400), wording.Line(x.Next, 400))
		if x.Parts > 1 {
			fmt.Fprintf(out, "  %d parts of it are refused.\n", x.Parts)
		}
	}
	busy := map[string]bool{}
	for _, l := range st.Sessions {
		busy[l.Asset] = true
	}
	table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "ASSET\tSTATE\tENGINEER\tSESSION\tENDS")
	for _, l := range st.Sessions {
		state := "live"
		if len(l.Frozen) > 0 {
			state = "frozen (" + strings.Join(l.Frozen, ", ") + ")"
		}
		fmt.Fprintf(table, "%s\t%s on %s\t%s\t%s\t%s (in %s)\n", l.Asset, state, l.Service, wording.Clean(l.Engineer.Email), l.ID,
			l.Deadline.Local().Format("15:04"), time.Until(l.Deadline).Round(time.Second))
	}
	for _, a := range st.Assets {
		if !busy[a] {
			fmt.Fprintf(table, "%s\tnobody\t\t\t\n", a)
		}
	}
	return table.Flush()
}

func killCommand() *cobra.Command {
	var asset string
	var all bool
	cmd := &cobra.Command{
		Use:   "kill (SESSION | --asset ASSET | --all)",
		Short: "End sessions at once and for good, also with the broker gone",
		Long: `End sessions at once: the device connections are closed, the recordings sealed, and
the grants closed for good, so that nothing opens again without a new approval.
This speaks to the agent on this machine and needs neither broker nor network.`,
		Example: "  sallyport-agent kill --all\n  sallyport-agent kill --asset NGH-PETCT1",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			k := console.Kill{Asset: asset, All: all}
			if len(args) == 1 {
				k.Session = args[0]
			}
			if n := btoi(k.Session != "") + btoi(k.Asset != "") + btoi(k.All); n != 1 {
				return session.Errorf(session.Invalid, "Say one thing to end: a session, an asset, or all").WithNext("See what is live with sallyport-agent status.")
			}
			c, err := running(cmd)
			if err != nil {
				return err
			}
			done, err := c.Kill(cmd.Context(), k)
			if err != nil {
				return err
			}
			if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(done)
			}
			if len(done.Sessions) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "Nothing was live.")
			}
			for _, id := range done.Sessions {
				fmt.Fprintf(cmd.OutOrStdout(), "%s is ended.\n", id)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&asset, "asset", "", "end every session on an asset")
	cmd.Flags().BoolVar(&all, "all", false, "end every session of this agent")
	return cmd
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func freezeCommand() *cobra.Command {
	return steerCommand(&cobra.Command{
		Use:   "freeze SESSION",
		Short: "Stop what an engineer types and sends, at once; the connection stays",
		Long: `Stop everything of the engineer in a session - typing, commands, uploads - before this
command returns. Output goes on, and so does the session's time. Only thaw on this
machine lifts it. This speaks to the agent itself and needs neither broker nor network.`,
		Example: "  sallyport-agent freeze S-ktn5c2qdxw3e4y7zq6r2m5hbni",
	}, console.Client.Freeze)
}

func thawCommand() *cobra.Command {
	return steerCommand(&cobra.Command{
		Use:     "thaw SESSION",
		Short:   "Lift a freeze that was made on this machine",
		Example: "  sallyport-agent thaw S-ktn5c2qdxw3e4y7zq6r2m5hbni",
	}, console.Client.Thaw)
}

// steerCommand completes a command that freezes or thaws one session.
func steerCommand(cmd *cobra.Command, do func(console.Client, context.Context, console.Freeze) (console.Frozen, error)) *cobra.Command {
	cmd.Args = cobra.ExactArgs(1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := running(cmd)
		if err != nil {
			return err
		}
		got, err := do(*c, cmd.Context(), console.Freeze{Session: args[0]})
		if err != nil {
			return err
		}
		if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(got)
		}
		if len(got.Frozen) == 0 {
			fmt.Fprintf(cmd.OutOrStdout(), "%s goes on.\n", got.Session)
			return nil
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s is frozen: %s.\n", got.Session, strings.Join(got.Frozen, ", "))
		return nil
	}
	return cmd
}
