package brokercmd

import (
	_ "embed"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker"
	"github.com/sallyport/sallyport/cmd/internal/operator"
	"github.com/sallyport/sallyport/cmd/internal/setup"
	"github.com/sallyport/sallyport/session"
)

//go:embed broker.yaml.tmpl
var configuration string

func setupCommand() *cobra.Command {
	return operator.SetUp(&cobra.Command{
		Short: "Ask the few questions of a first day, write the configuration, and say what to give to whom",
		Long: `Ask the few questions of a first day on the terminal, each with its reason, or take the
answers from a file (--answers) or flags (--set). Write the configuration, with the comments
of broker.example.yaml, where none is; look at what it needs, as check does; and print what
the identity providers' people, the firewall's and the hospital have to be told. Nothing
else is changed.`,
		Example: "  sallyport-broker setup\n  sallyport-broker setup --questions > answers.yaml\n  sallyport-broker setup --answers answers.yaml",
	}, operator.Setup[broker.Config]{Questions: questions(), Text: configuration, Look: broker.Ready, Tell: handouts})
}

func questions() []setup.Question {
	all := []setup.Question{
		{Key: "url", Ask: "Address of the broker", Why: "As people will type it, without a slash at the end, such as https://sallyport.meridian.example. Logins are bound to it, and the certificate is for its name.", Wrong: wrongURL},
		{Key: "node", Ask: "Name of this node", Why: "Agents' configurations name it; with one node the usual name is right.", Usual: setup.Usually("broker-1"), Wrong: setup.WrongName},
		{Key: "ssh_address", Ask: "Address of the SSH jump host", Why: "As engineers' ssh reaches it, with its port.", Usual: func(a setup.Answers) string {
			return net.JoinHostPort(hostOf(a["url"]), "2222")
		}},
		{Key: "certificate", Ask: "File of the web's certificate", Why: "The chain in PEM, the broker's own first, from an authority that people's browsers know.", Usual: setup.Usually("/etc/sallyport/tls/broker.crt")},
		{Key: "key", Ask: "File of its key", Why: "Readable for the broker's user, and for nobody else but root.", Usual: setup.Usually("/etc/sallyport/tls/broker.key")},
		{Key: "vault", Ask: "Directory of the recordings", Why: "It grows; when it is full the broker stops. Best on a disk of its own, such as /srv/vault.", Usual: setup.Usually("/var/lib/sallyport-broker/vault")},
		{Key: "site", Ask: "Name of the first hospital site", Why: "It stands in every scanner's full name and in certificates: short, such as NGH. More sites are added in the file.", Wrong: setup.WrongName},
	}
	web := func(side session.Side) setup.Question {
		return setup.Question{Key: string(side) + "_web", Ask: "Client id of the broker's web pages there", Why: "Registered for Sallyport alone.", Usual: setup.Usually("sallyport-web"), Quiet: true}
	}
	all = append(all, setup.Issuer(session.VendorSide, "the vendor's", "https://idp.meridian.example")...)
	all = append(all, web(session.VendorSide))
	all = append(all, setup.Issuer(session.HospitalSide, "the hospital's", "https://login.northfield.example")...)
	return append(all, setup.Inside(), web(session.HospitalSide),
		setup.Question{Key: "hospital_console", Ask: "Client id of the hospital's console there", Why: "With it approvers approve. The broker gets no redirect there.", Usual: setup.Usually("sallyport-console"), Quiet: true},
		setup.Question{Key: "mail_host", Ask: "Mail server (none: nobody is written to)", Why: "Approvers are told of requests and engineers of answers. No mail has what people typed.", Usual: setup.Usually("")},
		setup.Question{Key: "mail_from", Ask: "Sender of the mails", Why: "An address, or a name and an address.", Skip: noMail,
			Usual: func(a setup.Answers) string { return "Sallyport <sallyport@" + hostOf(a["url"]) + ">" }},
		setup.Question{Key: "mail_user", Ask: "User at the mail server (none: without authentication)", Why: "Its password is a credential of the unit, called smtp.", Usual: setup.Usually(""), Skip: noMail},
		setup.Question{Key: "mail_to", Ask: "Addresses of the site's approvers", Why: "One or more, with commas between them; a list's address is best.", Skip: noMail},
		setup.Question{Key: "listen", Ask: "Where the web and the agents' link listen", Why: "One port for both.", Usual: setup.Usually(":443"), Quiet: true},
		setup.Question{Key: "ssh_listen", Ask: "Where the jump host listens", Why: "As in ssh_address, unless something stands between.", Usual: setup.Usually(":2222"), Quiet: true},
		setup.Question{Key: "redis", Ask: "Where the store is", Why: "Redis on this machine, by its socket.", Usual: setup.Usually("unix:///run/redis/redis-server.sock?db=0"), Quiet: true},
		setup.Question{Key: "redis_user", Ask: "The broker's user there", Why: "The one of the ACL file on the page.", Usual: setup.Usually("sallyport"), Quiet: true},
		setup.Question{Key: "redis_password", Ask: "Where its password is", Why: "By reference, never inline.", Usual: setup.Usually("file:/var/lib/sallyport-broker/redis"), Quiet: true},
		setup.Question{Key: "state", Ask: "The broker's directory", Why: "The unit makes it.", Usual: setup.Usually("/var/lib/sallyport-broker"), Quiet: true},
	)
}

func noMail(a setup.Answers) bool { return a["mail_host"] == "" }

func wrongURL(s string) string {
	if strings.HasSuffix(s, "/") {
		return "there is no slash at the end"
	}
	return setup.WrongURL(s)
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// handouts are what others have to be told before it works.
func handouts(a setup.Answers) []setup.Handout {
	callback := func(issuer string) string { return session.Issuer{URL: a[issuer]}.WebRedirect(a["url"]) }
	client := func(id, redirect, what string) string {
		return fmt.Sprintf("client %s   redirect %s   %s", id, redirect, what)
	}
	common := []string{"public clients (no secret), authorization code with PKCE S256, nothing else; the device grant off", "ID tokens with the person, e-mail, name, groups"}
	vendor := append([]string{
		client(a["vendor_cli"], setup.Redirect(a["vendor_product"]), "engineers' command line"),
		client(a["vendor_web"], callback("vendor_issuer"), "engineers' browsers"),
		"scopes " + setup.Scopes(a["vendor_product"]),
	}, common...)
	hospital := append([]string{
		client(a["hospital_console"], setup.Redirect(a["hospital_product"]), "approvals; no redirect to the broker on this one"),
		client(a["hospital_cli"], setup.Redirect(a["hospital_product"]), "approvers' and auditors' command line; approves nothing"),
		client(a["hospital_web"], callback("hospital_issuer"), "approvers' and auditors' browsers"),
		"scopes " + setup.Scopes(a["hospital_product"]),
	}, append(common, "and auth_time, which no approval passes without")...)
	firewall := []string{
		"in   from everywhere   tcp " + portOf(a["listen"]) + "   web, API and the agents' link",
		"in   from everywhere   tcp " + portOf(a["ssh_address"]) + "   SSH jump host",
		"out  " + a["vendor_issuer"] + "   sign-ins",
	}
	if a["inside"] == "no" {
		firewall = append(firewall, "out  "+a["hospital_issuer"]+"   sign-ins")
	}
	if !noMail(a) {
		firewall = append(firewall, "out  "+net.JoinHostPort(a["mail_host"], "587")+"   mail")
	}
	return []setup.Handout{
		{To: "Vendor's identity provider " + a["vendor_issuer"], Lines: vendor},
		{To: "Hospital's identity provider " + a["hospital_issuer"], Lines: hospital},
		{To: "Firewall", Lines: firewall},
		{To: "Hospital, for its agent's setup", Lines: []string{
			"site " + a["site"] + ", node " + a["node"] + ", broker " + net.JoinHostPort(hostOf(a["url"]), portOr(a["url"], "443")),
			"and, once the broker runs, one line by a way that both trust: sallyport-broker join-token --site " + a["site"] + " --agent " + strings.ToLower(a["site"]) + "-1",
		}},
	}
}

func portOf(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return "?"
	}
	return port
}

func portOr(address, usual string) string {
	if u, err := url.Parse(address); err == nil && u.Port() != "" {
		return u.Port()
	}
	return usual
}
