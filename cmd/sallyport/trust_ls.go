package main

import (
	"strings"

	"github.com/spf13/cobra"
)

func (p *program) trustListCommand() *cobra.Command {
	c := ls("List what you trust")
	c.RunE = func(*cobra.Command, []string) error { return p.trustList() }
	return c
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
