package main

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/cmd/internal/display"
	"github.com/sallyport/sallyport/session"
)

func (p *program) assetsCommand() *cobra.Command {
	return p.signed(&cobra.Command{
		Use:   "assets [SITE]",
		Short: "List the scanners and the services you can ask for",
		Long: `List the scanners and the services you can ask for. NEEDS is how many approvers must
say yes; LONGEST is the longest session the hospital allows.`,
		Example: "  sallyport assets\n  sallyport assets NGH -o json",
		Args:    cobra.MaximumNArgs(1),
	}, func(ctx context.Context, who signedIn, args []string) error {
		list, err := assetsOf(ctx, who, session.Target{Site: strings.Join(args, "")})
		if err != nil {
			return err
		}
		return p.answer(list, func() error { return p.assetTable(list) })
	})
}

// assetsOf lists the scanners that a name may mean; without site and asset all.
func assetsOf(ctx context.Context, who signedIn, of session.Target) ([]api.Asset, error) {
	filter := url.Values{}
	if of.Site != "" {
		filter.Set("site", of.Site)
	}
	if of.Asset != "" {
		filter.Set("name", of.Asset)
	}
	list, more, err := client.Assets.First(ctx, who.broker, filter, maxAssets)
	if err == nil && more {
		err = usage("There are more than %d scanners", maxAssets).WithNext("Name one site of them.")
	}
	slices.SortFunc(list, func(x, y api.Asset) int {
		return strings.Compare(fullName(x.Site, x.Name, ""), fullName(y.Site, y.Name, ""))
	})
	return list, err
}

func (p *program) assetTable(list []api.Asset) error {
	if len(list) == 0 {
		p.say("No scanner is known here yet. It appears when a hospital's agent has connected once.")
		return nil
	}
	var rows [][]string
	for _, a := range list {
		state := "offline"
		if a.Online {
			state = "online"
		}
		for _, s := range a.Services {
			rows = append(rows, []string{fullName(a.Site, a.Name, s.Name), a.Label, a.Modality, string(s.Class), state,
				approvers(a.Needed), display.Span(time.Duration(a.Longest) * time.Second)})
		}
	}
	return display.Table(p.stdout, []string{"SITE/ASSET/SERVICE", "LABEL", "MODALITY", "CLASS", "AGENT", "NEEDS", "LONGEST"}, rows)
}

func approvers(n int) string {
	if n == 1 {
		return "1 approver"
	}
	return fmt.Sprintf("%d approvers", n)
}

// fullName is what a scanner's service, or a scanner, is called everywhere.
func fullName(site, asset, service string) string {
	return session.Target{Site: site, Asset: asset, Service: service}.String()
}

// findAsset looks a scanner and its services up among those that its name may mean. Names
// may be typed in any case; the catalogue's spelling is used.
func findAsset(list []api.Asset, typed session.Target, further []string) (api.Asset, []session.Service, error) {
	var all []session.Target
	for _, a := range list {
		for _, s := range a.Services {
			all = append(all, session.Target{Site: a.Site, Asset: a.Name, Service: s.Name})
		}
	}
	of, found, err := typed.Choose(all)
	switch {
	case err != nil:
		return api.Asset{}, nil, err
	case !found && len(list) == 0:
		return api.Asset{}, nil, usage("No scanner is called %s", fullName(typed.Site, typed.Asset, "")).WithNext("`sallyport assets` lists those you can ask for.")
	case !found:
		return api.Asset{}, nil, usage("%s has no service %.64q", fullName(typed.Site, list[0].Name, ""), typed.Service).WithNext("`sallyport assets` lists what there is.")
	}
	at := slices.IndexFunc(list, func(a api.Asset) bool { return a.Site == of.Site && a.Name == of.Asset })
	var services []session.Service
	for _, name := range append([]string{of.Service}, further...) {
		s, ok := findService(list[at], name)
		if !ok {
			return api.Asset{}, nil, usage("%s has no service %.64q", fullName(of.Site, of.Asset, ""), name).WithNext("`sallyport assets " + of.Site + "` lists what there is.")
		}
		services = append(services, s)
	}
	return list[at], services, nil
}

func findService(a api.Asset, name string) (session.Service, bool) {
	for _, s := range a.Services {
		if strings.EqualFold(s.Name, name) {
			return s, true
		}
	}
	return session.Service{}, false
}
