package main

import (
	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
)

func (p *program) sessionsListCommand() *cobra.Command {
	return lists(p, "List sessions, newest first: your own, or your site's", client.Sessions, table[api.Session]{
		none:   "Nobody has been on a scanner yet.",
		header: []string{"SESSION", "STATE", "SITE/ASSET/SERVICE", "ENGINEER", "OPENED", "ENDS"},
		row: func(s api.Session) []string {
			opened := ""
			if !s.Opened.IsZero() {
				opened = p.local(s.Opened)
			}
			return []string{s.ID, p.sessionState(s), fullName(s.Site, s.Asset, s.Service), s.Engineer, opened, p.sessionEnd(s)}
		},
	})
}
