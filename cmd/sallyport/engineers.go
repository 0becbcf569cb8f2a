package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
)

func (p *program) engineersCommand() *cobra.Command {
	return noun(&cobra.Command{Use: "engineers", Aliases: []string{"engineer"}, Short: "See who asks for your scanners, and end somebody's access"},
		p.engineersListCommand(), p.engineersDisableCommand(), p.engineersEnableCommand())
}

// standingCommand is disable and enable.
func (p *program) standingCommand(verb, short, long string, call client.Write[api.Standing, api.Engineer]) *cobra.Command {
	var reason, site string
	c := p.signed(&cobra.Command{
		Use:               verb + " EMAIL --reason TEXT",
		Short:             short,
		Long:              long,
		Example:           "  sallyport engineers " + verb + ` jana@meridian.example --reason "As agreed with the vendor"`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.engineers(),
	}, func(ctx context.Context, who signedIn, args []string) error {
		e, err := findEngineer(ctx, who, args[0], site)
		if err != nil {
			return err
		}
		e, err = call.Post(ctx, who.broker, api.Standing{Site: e.Site, Iss: e.Iss, Sub: e.Sub, Reason: reason})
		return p.told(e, err, func() {
			p.print("%s is %sd at %s.", e.Shown(), verb, e.Site)
			if len(e.Waiting) > 0 {
				p.warn("Not connected, and told when back: %s. The hospital can end what is open there with: sallyport-agent kill", strings.Join(e.Waiting, ", "))
			}
		})
	})
	c.Flags().StringVar(&site, "site", "", "the site, where you work for several")
	return withReason(c, &reason, "why; it is kept", "This needs its reason", "As agreed with the vendor")
}

// findEngineer finds the one that an e-mail or subject means. An e-mail is no identity:
// where two people have it nobody is guessed.
func findEngineer(ctx context.Context, who signedIn, name, site string) (api.Engineer, error) {
	list, err := client.Engineers.All(ctx, who.broker)
	if err != nil {
		return api.Engineer{}, err
	}
	var found []api.Engineer
	for _, e := range list {
		if (strings.EqualFold(e.Email, name) || e.Sub == name) && (site == "" || e.Site == site) {
			found = append(found, e)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return api.Engineer{}, usage("No engineer %.100q has asked for your scanners", name).WithNext("See: sallyport engineers ls")
	}
	return api.Engineer{}, usage("%.100q means more than one engineer", name).WithNext("Name the subject, or add --site; see: sallyport engineers ls -o json")
}
