package agentcmd

import (
	"fmt"
	"io"

	"github.com/sallyport/sallyport/agent/console"
	"github.com/sallyport/sallyport/session/wording"
)

// showLogs says how the audit logs of the broker's nodes stand, as this agent has seen
// them.
func showLogs(out io.Writer, st console.Status) {
	const second = "2006-01-02 15:04:05"
	for _, n := range st.Nodes {
		switch {
		case n.Trouble != "":
			fmt.Fprintf(out, "AUDIT LOG OF THE BROKER %s NOT BELIEVED since %s: %s\n", wording.Clean(n.Origin), n.Since.Local().Format(second), wording.Clean(n.Trouble))
			fmt.Fprintln(out, "  New requests and approvals are refused; live sessions go on, and ending them works.")
			fmt.Fprintf(out, "  When the broker's operators have explained it: sallyport-agent trust forget %s --yes, then trust accept\n", wording.Clean(n.Origin))
		case n.Taken.IsZero():
			fmt.Fprintf(out, "Audit log of the broker %s: no checkpoint seen yet, key %s\n", wording.Clean(n.Origin), n.Key)
		default:
			fmt.Fprintf(out, "Audit log of the broker %s: %d entries, checkpoint of %s, key %s\n", wording.Clean(n.Origin), n.Size, n.Taken.Local().Format(second), n.Key)
			for _, by := range n.Cosigned {
				fmt.Fprintf(out, "  cosigned by %s\n", wording.Clean(by))
			}
		}
	}
	for _, s := range st.Strangers {
		why := "which this hospital has not accepted"
		if s.Forged {
			why = "without the key that this hospital accepted"
		}
		fmt.Fprintf(out, "NOTHING NEW IS TAKEN FROM NODE %s since %s: it shows the audit log %s, %s\n", wording.Clean(s.Name), s.Since.Local().Format(second), wording.Clean(s.Origin), why)
	}
}
