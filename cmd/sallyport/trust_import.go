package main

import "github.com/spf13/cobra"

func (p *program) trustImportCommand() *cobra.Command {
	var replace bool
	c := &cobra.Command{
		Use:     "import FILE",
		Short:   "Import a site's trust bundle",
		Long:    "Import a site's trust bundle. Compare the fingerprint with the hospital, by telephone for example.",
		Example: "  sallyport trust import northfield.json",
		Args:    cobra.ExactArgs(1),
		RunE:    func(_ *cobra.Command, args []string) error { return p.trustImport(args[0], replace) },
	}
	c.Flags().BoolVar(&replace, "replace", false, "accept another agent key for a site that is trusted already")
	return c
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
