package main

import (
	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/session"
)

func (p *program) logoutCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "logout",
		Short: "End your sign-in at the broker and forget it here",
		Long: `End your sign-in at the broker and forget it here. Sessions that are live go on, and
requests and their keys stay; to end a session use: sallyport sessions kill`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			h, err := p.home()
			if err != nil {
				return err
			}
			config, err := h.Config()
			if err != nil {
				return err
			}
			login, ok, err := h.Session()
			if err != nil {
				return err
			}
			var remote error
			if ok && config.Broker != "" {
				_, remote = client.Logout.Post(c.Context(), p.client(config, login.Token), client.None{})
			}
			if err := h.DropSession(); err != nil {
				return err
			}
			if remote != nil && session.KindOf(remote) == session.Unreachable {
				p.warn("The broker did not hear of it; there the sign-in ends by itself, %s.", p.local(login.Expires))
			}
			return p.told(map[string]bool{"signed_in": false}, nil, func() { p.print("Signed out.") })
		},
	}
}
