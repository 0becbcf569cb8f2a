package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/cmd/internal/display"
	"github.com/sallyport/sallyport/session"
)

// maxAssets is the largest catalogue that is shown.
const maxAssets = 10_000

func (p *program) assetsCommand() *cobra.Command {
	return p.signed(&cobra.Command{
		Use:   "assets [SITE]",
		Short: "List the scanners and the services you can ask for",
		Long: `List the scanners and the services you can ask for. NEEDS is how many approvers must
say yes; LONGEST is the longest session the hospital allows.`,
		Example: "  sallyport assets\n  sallyport assets NGH -o json",
		Args:    cobra.MaximumNArgs(1),
	}, func(ctx context.Context, who signedIn, args []string) error {
		list, err := assetsOf(ctx, who, strings.Join(args, ""))
		if err != nil {
			return err
		}
		return p.answer(list, func() error { return p.assetTable(list) })
	})
}

// assetsOf lists the catalogue; an empty site means all.
func assetsOf(ctx context.Context, who signedIn, site string) ([]api.Asset, error) {
	filter := url.Values{}
	if site != "" {
		filter.Set("site", site)
	}
	list, _, err := client.Assets.First(ctx, who.broker, filter, maxAssets)
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
			rows = append(rows, []string{a.Name + "/" + s.Name, a.Site, a.Label, a.Modality, string(s.Class), state,
				approvers(a.Needed), display.Span(time.Duration(a.Longest) * time.Second)})
		}
	}
	return display.Table(p.stdout, []string{"ASSET/SERVICE", "SITE", "LABEL", "MODALITY", "CLASS", "AGENT", "NEEDS", "LONGEST"}, rows)
}

func approvers(n int) string {
	if n == 1 {
		return "1 approver"
	}
	return fmt.Sprintf("%d approvers", n)
}

// parseTarget splits ASSET/SERVICE.
func parseTarget(s string) (asset, service string, err error) {
	asset, service, ok := strings.Cut(s, "/")
	if !ok || !session.ValidName(asset) || !session.ValidName(service) {
		return "", "", usage("%.80q does not name a service of a scanner", s).WithNext("Write ASSET/SERVICE, as in NGH-PETCT1/recon-ssh; `sallyport assets` lists them.")
	}
	return asset, service, nil
}

// findAsset looks an asset and its services up in the catalogue. Names may be typed
// in any case; the catalogue's spelling is used.
func findAsset(list []api.Asset, asset string, services []string) (api.Asset, []session.Service, error) {
	for _, a := range list {
		if !strings.EqualFold(a.Name, asset) {
			continue
		}
		var found []session.Service
		for _, name := range services {
			s, ok := findService(a, name)
			if !ok {
				return a, nil, usage("%s has no service %.64q", a.Name, name).WithNext("`sallyport assets " + a.Site + "` lists what there is.")
			}
			found = append(found, s)
		}
		return a, found, nil
	}
	return api.Asset{}, nil, usage("No scanner is called %.64q", asset).WithNext("`sallyport assets` lists those you can ask for.")
}

func findService(a api.Asset, name string) (session.Service, bool) {
	for _, s := range a.Services {
		if strings.EqualFold(s.Name, name) {
			return s, true
		}
	}
	return session.Service{}, false
}
