package agentcmd

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/agent"
	"github.com/sallyport/sallyport/agent/keyring"
	"github.com/sallyport/sallyport/cmd/internal/operator"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// listed is a passkey as the command shows it.
type listed struct {
	Name  string         `json:"name"`
	Owner session.Person `json:"owner"`
	Host  string         `json:"host"`
	Since time.Time      `json:"since"`
	Used  time.Time      `json:"used,omitzero"`
	Until time.Time      `json:"until,omitzero"`
}

func listedOf(keys []keyring.Key) []listed {
	out := []listed{}
	for _, k := range keys {
		out = append(out, listed{Name: k.Public().Name(), Owner: k.Person, Host: k.Host, Since: k.Since, Used: k.Used, Until: k.Until})
	}
	return out
}

func keysCommand() *cobra.Command {
	parent := &cobra.Command{Use: "keys", Short: "The passkeys that approvers registered on the agent's page"}
	parent.AddCommand(keysListCommand(), keysRevokeCommand())
	return parent
}

func keysListCommand() *cobra.Command {
	return operator.Configured(&cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the registered passkeys, those that were revoked too",
	}, func(_ *cobra.Command, cfg agent.Config, _ []string) ([]listed, error) {
		all, err := agent.Passkeys(cfg)
		return listedOf(all), err
	}, func(out io.Writer, all []listed) {
		if len(all) == 0 {
			fmt.Fprintln(out, "No passkey is registered. Approvers register theirs on the agent's page.")
			return
		}
		table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
		fmt.Fprintln(table, "KEY\tOWNER\tREGISTERED\tLAST USED\tREVOKED\tPAGE")
		for _, k := range all {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", k.Name, wording.Clean(k.Owner.Shown()), minute(k.Since), minute(k.Used), minute(k.Until), wording.Clean(k.Host))
		}
		_ = table.Flush() // into a buffer
	})
}

func minute(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04")
}

func keysRevokeCommand() *cobra.Command {
	return operator.Configured(&cobra.Command{
		Use:   "revoke KEY|PERSON",
		Short: "Make a passkey, or all of a person, count for nothing from now on",
		Long: `Make a passkey, or all of a person (by e-mail address or subject), count for nothing from
now on: for people who left, and for keys that were lost. It counts at once, also for what
they approved and that waits for another approver. What was admitted stays; sallyport-agent
kill ends it. The key stays in the trust bundle as revoked, so that older recordings verify:
export the bundle again.`,
		Example: "  sallyport-agent keys revoke K-3f9a0c7712be\n  sallyport-agent keys revoke anna@northfield.example",
		Args:    cobra.ExactArgs(1),
	}, func(_ *cobra.Command, cfg agent.Config, args []string) ([]listed, error) {
		gone, err := agent.RevokePasskeys(cfg, args[0], time.Now())
		return listedOf(gone), err
	}, func(out io.Writer, gone []listed) {
		for _, k := range gone {
			fmt.Fprintf(out, "Revoked %s of %s.\n", k.Name, wording.Clean(k.Owner.Shown()))
		}
		fmt.Fprintln(out, "Export the trust bundle again: sallyport-agent trust export.")
	})
}
