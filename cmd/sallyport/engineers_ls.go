package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
)

func (p *program) engineersListCommand() *cobra.Command {
	return lists(p, "List who asked for your scanners", client.Engineers, table[api.Engineer]{
		none:   "No engineer has asked for your scanners yet.",
		header: []string{"ENGINEER", "NAME", "SITE", "STATE", "LAST ASKED", "REASON"},
		row: func(e api.Engineer) []string {
			state, asked := "enabled", ""
			if e.Disabled {
				state = "disabled by " + e.By
			}
			if len(e.Waiting) > 0 {
				state += "; not told yet: " + strings.Join(e.Waiting, ", ")
			}
			if e.Asked != nil {
				asked = p.local(*e.Asked)
			}
			return []string{e.Shown(), e.Name, e.Site, state, asked, e.Reason}
		},
	})
}
