package world

import (
	"fmt"
	"io"
	"strings"

	"github.com/sallyport/sallyport/cmd/internal/devidp"
	"github.com/sallyport/sallyport/session"
)

// page prints what a newcomer needs to walk through the demonstration by hand.
func (w *world) page(out io.Writer) {
	if out == nil {
		return
	}
	asset, service := w.agent.Assets[0], w.agent.Assets[0].Endpoints[0].Services[0]
	of := session.Target{Site: site, Asset: asset.Name, Service: service.Name}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }

	line("")
	line("  Sallyport is running on this machine only.")
	line("  Disconnected by default, connected per approved session.")
	line("")
	line("  One hospital (%s), its agent, a broker, two identity providers, and", site)
	line("  %d scanner(s) that nobody can reach until the hospital says yes.", len(w.agent.Assets))
	line("")
	line("  Open          %s", w.url())
	line("")
	line("  and press a name to be that person. Three people need three browser profiles:")
	line("  an engineer asks, an approver's inbox fills by itself, an auditor replays.")
	line("")
	line("  The people. Each has a home; a command acts as whoever's home it is given.")
	for _, p := range devidp.Personas() {
		line("    %-10s %-13s %s", p.Key, p.Name, p.Title)
	}
	line("")
	line("  The same by command line, in a second terminal:")
	line("")
	line("    export PATH=%s:$PATH", dirOf(w.o.Exe))
	line("    P=%s", w.path("personas"))
	line("")
	line("    # 1. The engineer signs in, asks, and is not let in yet")
	line("    export SALLYPORT_HOME=$P/engineer")
	line("    sallyport login --hint j.brandt@meridian.example")
	line("    sallyport request new %s --reason 'Daily QC failed' --work-order WO-2026-11873 --for 30m --files in,out", of)
	line("    sallyport ssh %s", of)
	line("")
	line("    # 2. The hospital looks at exactly what is asked, and approves")
	line("    SALLYPORT_HOME=$P/approver sallyport login --hint m.okafor@northfield.example")
	line("    SALLYPORT_HOME=$P/approver sallyport request ls")
	line("    SALLYPORT_HOME=$P/approver sallyport approve R-…")
	line("")
	line("    # 3. Plain OpenSSH works, and every byte is recorded at the hospital")
	line("    ssh -F $P/engineer/ssh_config %s", of.Host())
	line("")
	line("    # 4. The auditor replays, and checks that nothing was changed")
	line("    SALLYPORT_HOME=$P/auditor sallyport login --hint s.adeyemi@northfield.example")
	line("    SALLYPORT_HOME=$P/auditor sallyport recordings ls")
	line("    SALLYPORT_HOME=$P/auditor sallyport recordings play V-…")
	line("")
	line("    # 5. The hospital can end everything at once, also with the broker gone")
	line("    sallyport-agent kill --all --socket %s", w.agent.Socket)
	line("")
	line("  No browser here? BROWSER='curl -sSLo /dev/null' signs in without one.")
	line("")
	line("  Broker        %s (plain HTTP, loopback only)    jump host  %s", w.url(), w.ssh)
	line("  Sign-in       vendor %s    hospital %s", w.peers.vendor, w.peers.hospital)
	line("  Configuration %s", w.path("agent.yaml"))
	line("  Logs          %s", w.path("logs"))
	line("  E-mail        %s (what people would be sent, one file each)", w.path("mail"))
	line("")
	line("  This is a demonstration. Its store is in memory: requests and sign-ins are")
	line("  forgotten when it stops. Its assets accept approvals from the broker's own web")
	line("  page too; a hospital's would ask for its own console. Ctrl-C stops everything.")
	line("")
	_, _ = io.WriteString(out, b.String())
}

func dirOf(exe string) string {
	if i := strings.LastIndexByte(exe, '/'); i > 0 {
		return exe[:i]
	}
	return "."
}
