package agentcmd

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/agent"
	"github.com/sallyport/sallyport/cmd/internal/operator"
	"github.com/sallyport/sallyport/cmd/internal/setup"
	"github.com/sallyport/sallyport/session"
)

//go:embed agent.yaml.tmpl
var configuration string

func setupCommand() *cobra.Command {
	return operator.SetUp(&cobra.Command{
		Short: "Ask the few questions of a first day, write the configuration, and say what to give to whom",
		Long: `Ask the few questions of a first day on the terminal, each with its reason, or take the
answers from a file (--answers) or flags (--set). Write the configuration, with the comments
of agent.example.yaml and the first scanner, where none is; look at what it needs, as check
does; and print what the identity provider's people, the firewall's and the vendor have to
be told, and what to do next. Nothing else is changed.`,
		Example: "  sallyport-agent setup\n  sallyport-agent setup --questions > answers.yaml\n  sallyport-agent setup --answers answers.yaml",
	}, operator.Setup[agent.Config]{Questions: questions(), Text: configuration, Tell: handouts,
		Look: func(ctx context.Context, cfg agent.Config) ([]error, []string) { return agent.Ready(ctx, cfg, false) }})
}

func questions() []setup.Question {
	all := []setup.Question{
		{Key: "site", Ask: "Name of this site", Why: "As the broker's operators have it; it stands in every scanner's full name.", Wrong: setup.WrongName},
		{Key: "agent", Ask: "Name of this agent", Why: "It stands in the agent's certificate.", Usual: func(a setup.Answers) string { return strings.ToLower(a["site"]) + "-1" }, Wrong: setup.WrongName},
		{Key: "broker", Ask: "Address of the broker, host:port", Why: "The only address that this machine dials outside, and nothing dials in.", Wrong: wrongAddress},
		{Key: "node", Ask: "Name of the broker's node there", Why: "Its certificate for agents carries it; the broker's operators say it.", Usual: setup.Usually("broker-1"), Wrong: setup.WrongName},
		{Key: "proxy", Ask: "The hospital's forward proxy (none: directly)", Why: "Where nothing gets out but through it, such as http://proxy.northfield.example:3128. Scanners are never reached through it.", Usual: setup.Usually("")},
		{Key: "proxy_user", Ask: "User at the proxy (none: it asks for nobody)", Why: "Basic authentication; the password is a credential of the unit, called proxy.", Usual: setup.Usually(""), Skip: func(a setup.Answers) bool { return a["proxy"] == "" }},
	}
	all = append(all, setup.Issuer(session.HospitalSide, "the hospital's", "https://login.northfield.example")...)
	all = append(all, setup.Inside(),
		setup.Question{Key: "hospital_console", Ask: "Client id of the hospital's console there", Why: "With it approvers approve.", Usual: setup.Usually("sallyport-console"), Quiet: true},
		reach(session.HospitalSide, "direct"))
	all = append(all, setup.Issuer(session.VendorSide, "the vendor's", "https://idp.meridian.example")...)
	return append(all, reach(session.VendorSide, "broker"),
		setup.Question{Key: "scanner", Ask: "Name of the first scanner", Why: "As biomed tags it, such as NGH-PETCT1. More scanners are added in the file, each as this one.", Wrong: setup.WrongName},
		setup.Question{Key: "label", Ask: "What people call it", Why: "It stands beside the name on every page, such as Helion 64.", Usual: func(a setup.Answers) string { return a["scanner"] }},
		setup.Question{Key: "modality", Ask: "Its modality", Why: "Such as PT/CT, MR or CT.", Usual: setup.Usually("CT")},
		setup.Question{Key: "address", Ask: "Its address", Why: "A name or an IP address. It never leaves this machine."},
		setup.Question{Key: "port", Ask: "Its SSH port", Why: "Only this port is dialled there.", Usual: setup.Usually("22"), Wrong: func(s string) string {
			if n, err := strconv.Atoi(s); err != nil || n < 1 || n > 65535 {
				return "a port is a number from 1 to 65535"
			}
			return ""
		}},
		setup.Question{Key: "user", Ask: "The user with which the agent logs in there", Why: "Engineers never see this login.", Usual: setup.Usually("service")},
		setup.Question{Key: "password", Ask: "Where that user's password is", Why: "By reference, never inline: credential:NAME of the unit, or file:/path.",
			Usual: func(a setup.Answers) string { return "credential:" + strings.ToLower(a["scanner"]) + "-recon" }},
		setup.Question{Key: "host_key", Ask: "Fingerprint of its host key", Why: "No key, no connection. On the scanner: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub; else from here, compared with the vendor: ssh-keyscan ADDRESS | ssh-keygen -lf -", Wrong: wrongKey},
		setup.Question{Key: "approvals", Ask: "How many people of the hospital must approve", Why: "Distinct people, none of them the engineer.", Usual: setup.Usually("1"), Wrong: func(s string) string {
			if n, err := strconv.Atoi(s); err != nil || n < 1 || n > 8 {
				return "between 1 and 8 approvers can be asked for"
			}
			return ""
		}},
		setup.Question{Key: "zone", Ask: "Time zone in which people here read times", Why: "Such as Europe/Berlin.", Usual: setup.Usually("UTC"), Wrong: func(s string) string {
			if _, err := time.LoadLocation(s); err != nil || s == "Local" {
				return "a time zone looks like Europe/Berlin"
			}
			return ""
		}},
		setup.Question{Key: "state", Ask: "The agent's directory", Why: "The unit makes it.", Usual: setup.Usually("/var/lib/sallyport-agent"), Quiet: true},
		setup.Question{Key: "socket", Ask: "Where status and kill reach the agent", Why: "The unit makes its directory.", Usual: setup.Usually("/run/sallyport-agent/agent.sock"), Quiet: true},
	)
}

func reach(side session.Side, usual string) setup.Question {
	return setup.Question{Key: string(side) + "_reach", Ask: "How the agent gets that provider's keys (direct or broker)", Quiet: true, Usual: setup.Usually(usual),
		Why: "Through the broker it is a TLS stream from end to end, which the broker cannot read."}
}

func wrongAddress(s string) string {
	if host, port, err := net.SplitHostPort(s); err != nil || host == "" || port == "" {
		return "an address looks like sallyport.meridian.example:443"
	}
	return ""
}

func wrongKey(s string) string {
	if !strings.HasPrefix(s, "SHA256:") && !strings.HasPrefix(s, "ssh-") && !strings.HasPrefix(s, "ecdsa-") {
		return "a fingerprint looks like SHA256:HCT2ojBD..., and a key line like ssh-ed25519 AAAA..."
	}
	return ""
}

// handouts are what others have to be told, and the steps that come next.
func handouts(a setup.Answers) []setup.Handout {
	client := func(id, what string) string {
		return fmt.Sprintf("client %s   redirect %s   %s", id, setup.Redirect(a["hospital_product"]), what)
	}
	return []setup.Handout{
		{To: "Hospital's identity provider " + a["hospital_issuer"], Lines: []string{
			client(a["hospital_console"], "approvals; no redirect to the broker on this one"),
			client(a["hospital_cli"], "approvers' and auditors' command line; approves nothing"),
			"the broker's web client is registered with the address that the broker's operators say",
			"scopes " + setup.Scopes(a["hospital_product"]),
			"public clients (no secret), authorization code with PKCE S256, nothing else; the device grant off",
			"ID tokens with the person, e-mail, name, groups and auth_time",
		}},
		{To: "Firewall", Lines: outwards(a)},
		{To: "Broker's operators", Lines: []string{
			"site " + a["site"] + ", agent " + a["agent"],
			"hospital's identity provider " + a["hospital_issuer"] + " (" + a["hospital_product"] + "), e-mail domain " + a["hospital_domain"] + ", addresses of the approvers",
			"they send one line, the join token, by a way that both trust",
		}},
		{To: "Next, on this machine, as root", Lines: next(a)},
	}
}

// outwards are the ways that must be open; inwards there is none.
func outwards(a setup.Answers) []string {
	way, lines := a["broker"], []string{}
	if a["proxy"] != "" {
		way += " through " + a["proxy"]
	}
	lines = append(lines, "out  "+way+"   the broker, without TLS inspection")
	for _, side := range []string{"hospital", "vendor"} {
		if u, err := url.Parse(a[side+"_issuer"]); err == nil && a[side+"_reach"] == "direct" {
			port := u.Port()
			if port == "" {
				port = "443"
			}
			lines = append(lines, "out  "+net.JoinHostPort(u.Hostname(), port)+"   keys of the "+side+"'s identity provider")
		}
	}
	return append(lines, "out  "+net.JoinHostPort(a["address"], a["port"])+"   scanner "+a["scanner"], "out  NTP", "in   nothing")
}

// next are the steps of the page that follow.
func next(a setup.Answers) []string {
	lines := []string{}
	credential := func(name, what string) {
		file := "/etc/credstore.encrypted/" + name
		lines = append(lines, "systemd-ask-password -n | systemd-creds encrypt --name="+name+" - "+file+"   # "+what,
			"systemctl edit sallyport-agent: [Service], LoadCredentialEncrypted="+name+":"+file)
	}
	if name, ok := strings.CutPrefix(a["password"], "credential:"); ok {
		credential(name, "the password of "+a["user"]+" at "+a["scanner"])
	}
	if a["proxy_user"] != "" {
		credential("proxy", "the password of "+a["proxy_user"]+" at the proxy")
	}
	return append(lines, "sallyport-agent enrol --token-file - --input-identity "+a["state"]+"/input.txt   # paste the join token, Enter, Ctrl-D",
		"move "+a["state"]+"/input.txt into the hospital's safe: it opens what engineers typed",
		"sallyport-agent trust export > "+strings.ToLower(a["site"])+".trust.json   # for engineers, approvers and auditors, by another way than the broker",
		"systemctl enable --now sallyport-agent", "sallyport-agent doctor --no-login")
}
