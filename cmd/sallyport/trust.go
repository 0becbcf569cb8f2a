package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/internal/home"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
)

func (p *program) trustCommand() *cobra.Command {
	var replace bool
	add := &cobra.Command{
		Use:     "import FILE",
		Short:   "Import a site's trust bundle",
		Long:    "Import a site's trust bundle. Compare the fingerprint with the hospital, by telephone for example.",
		Example: "  sallyport trust import northfield.json",
		Args:    cobra.ExactArgs(1),
		RunE:    func(_ *cobra.Command, args []string) error { return p.trustImport(args[0], replace) },
	}
	add.Flags().BoolVar(&replace, "replace", false, "accept another agent key for a site that is trusted already")
	list := ls("List what you trust")
	list.RunE = func(*cobra.Command, []string) error { return p.trustList() }
	return noun(&cobra.Command{
		Use:   "trust",
		Short: "Say which hospitals' agents and sign-ins you trust",
		Long: `A trust bundle names a site's agent key, its identity providers and their clients. The
hospital exports it (sallyport-agent trust export) and hands it to you by a way that
is not the broker. Everything that is verified on this machine is verified by it.`,
	}, add, list)
}

func (p *program) trustImport(file string, replace bool) error {
	h, err := p.home()
	if err != nil {
		return err
	}
	bundle, err := p.readBundle(file)
	if err != nil {
		return err
	}
	view := trustOf(bundle)
	return p.told(view, h.ImportTrust(bundle, replace), func() {
		p.print("Trusted now: %s, agent %s, key %s", view.Site, view.Agent, view.Fingerprint)
		p.say("Compare the fingerprint with the hospital before you rely on it.")
	})
}

func (p *program) readBundle(file string) (session.Trust, error) {
	data, err := durable.Read(file, home.MaxFile)
	if err != nil {
		return session.Trust{}, unreadable(file, err)
	}
	return home.ParseTrust(data)
}

func unreadable(file string, err error) error {
	return &session.Error{Kind: session.Invalid, Message: "The file " + file + " cannot be read", Next: "Check its name and your right to read it.", Err: err}
}

// trustView is one line of trust ls.
type trustView struct {
	Site        string   `json:"site"`
	Agent       string   `json:"agent"`
	Fingerprint string   `json:"fingerprint"`
	Issuers     []string `json:"issuers"`
	Nodes       []string `json:"nodes"` // names of the broker's audit logs that the hospital accepts
}

func trustOf(t session.Trust) trustView {
	v := trustView{Site: t.Site, Agent: t.Agent, Issuers: []string{}, Nodes: []string{}}
	if key, err := session.ParseKeyLine(t.Identity); err == nil {
		v.Fingerprint = session.Fingerprint(key)
	}
	for _, n := range t.Nodes {
		v.Nodes = append(v.Nodes, n.Origin)
	}
	for _, i := range t.Issuers {
		v.Issuers = append(v.Issuers, i.URL)
	}
	return v
}

func (p *program) trustList() error {
	h, err := p.home()
	if err != nil {
		return err
	}
	all, err := h.Trust()
	if err != nil {
		return err
	}
	views := []trustView{}
	for _, t := range all {
		views = append(views, trustOf(t))
	}
	return table[trustView]{
		none:   "You trust nobody yet. Get a bundle from a hospital and run: sallyport trust import FILE",
		header: []string{"SITE", "AGENT", "AGENT KEY", "SIGN-INS"},
		row: func(v trustView) []string {
			return []string{v.Site, v.Agent, v.Fingerprint, strings.Join(v.Issuers, " ")}
		},
	}.show(p, views)
}
