package main

import (
	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/internal/home"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
)

func (p *program) trustCommand() *cobra.Command {
	return noun(&cobra.Command{
		Use:   "trust",
		Short: "Say which hospitals' agents and sign-ins you trust",
		Long: `A trust bundle names a site's agent key, its identity providers and their clients. The
hospital exports it (sallyport-agent trust export) and hands it to you by a way that
is not the broker. Everything that is verified on this machine is verified by it.`,
	}, p.trustImportCommand(), p.trustListCommand())
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
