package main

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/session"
)

// denials is whose requests are denied together.
type denials struct{ engineer, vendor, site string }

func (p *program) denyCommand() *cobra.Command {
	var reason string
	var all denials
	one := p.requests(session.Pending)
	c := p.signed(&cobra.Command{
		Use:   "deny REQUEST --reason TEXT",
		Short: "Say no to a request, or to all that one engineer or vendor asks",
		Long: `Say no to a request. The engineer reads your reason; say when asking again makes sense.

With --engineer all that waits of one engineer is denied at once, with --vendor all of
one vendor's engineers. What was approved stays: see sallyport engineers disable.`,
		Example: `  sallyport deny R-aaaaaaaaaaaaaaaaaaaaaaaaaa --reason "Scanner in use until 15:00"
  sallyport deny --engineer jana@meridian.example --reason "One request is enough"`,
		ValidArgsFunction: one,
		Args: func(_ *cobra.Command, args []string) error {
			if n := len(args); n == 1 && all.engineer+all.vendor != "" || n > 1 || all.engineer != "" && all.vendor != "" {
				return usage("Deny one request, or all of one engineer, or all of one vendor").WithNext("See: sallyport deny --help")
			}
			if len(args) == 1 {
				_, err := session.ParseRequestID(args[0])
				return err
			}
			if all.engineer+all.vendor == "" {
				return usage("Which request? Name it").WithNext("See: sallyport request ls")
			}
			return nil
		},
	}, func(ctx context.Context, who signedIn, args []string) error {
		if len(args) == 0 {
			return p.denyAll(ctx, who, all, reason)
		}
		r, err := client.Deny.Post(ctx, who.broker, api.Denial{Reason: reason}, args[0])
		return p.told(r, err, func() { p.print("%s", p.whereItStands(r)) })
	})
	c.Flags().StringVar(&all.engineer, "engineer", "", "deny all that waits of this one: e-mail or subject")
	c.Flags().StringVar(&all.vendor, "vendor", "", "deny all that waits of this one's engineers: their identity provider, or its host")
	c.Flags().StringVar(&all.site, "site", "", "the site, where you work for several")
	_ = c.RegisterFlagCompletionFunc("engineer", p.engineers())
	return withReason(c, &reason, "why; the engineer reads it", "A denial needs its reason", "Scanner in use until 15:00")
}

// denyAll says no to all that waits of an engineer or of a vendor.
func (p *program) denyAll(ctx context.Context, who signedIn, d denials, reason string) error {
	of, err := d.find(ctx, who)
	if err != nil {
		return err
	}
	of.Reason = reason
	done, err := client.DenyAll.Post(ctx, who.broker, of)
	return p.told(done, err, func() {
		p.print("%d requests of %s are denied at %s.", len(done.Requests), cmp.Or(d.engineer, d.vendor), of.Site)
		if done.Left > 0 {
			p.warn("%d wait still; run it again.", done.Left)
		}
	})
}

// find says whom the flags mean.
func (d denials) find(ctx context.Context, who signedIn) (api.Denials, error) {
	if d.engineer != "" {
		e, err := findEngineer(ctx, who, d.engineer, d.site)
		return api.Denials{Site: e.Site, Iss: e.Iss, Sub: e.Sub}, err
	}
	list, err := client.Engineers.All(ctx, who.broker)
	if err != nil {
		return api.Denials{}, err
	}
	var found []api.Denials
	for _, e := range list {
		x := api.Denials{Site: e.Site, Iss: e.Iss}
		u, err := url.Parse(e.Iss)
		is := e.Iss == d.vendor || err == nil && strings.EqualFold(u.Host, d.vendor)
		if is && (d.site == "" || e.Site == d.site) && !slices.Contains(found, x) {
			found = append(found, x)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return api.Denials{}, usage("No engineer of %.200q has asked for your scanners", d.vendor).WithNext("See: sallyport engineers ls -o json")
	}
	return api.Denials{}, usage("%.200q means more than one vendor or site", d.vendor).WithNext("Name the whole issuer, or add --site; see: sallyport engineers ls -o json")
}
