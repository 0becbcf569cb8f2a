package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/display"
	"github.com/sallyport/sallyport/session"
)

func (p *program) assetsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "assets [SITE]",
		Short: "List the scanners and the services you can ask for",
		Long: `List the scanners and the services you can ask for. NEEDS is how many approvers must
say yes; LONGEST is the longest session the hospital allows.`,
		Example: "  sallyport assets\n  sallyport assets NGH -o json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			site := ""
			if len(args) == 1 {
				site = args[0]
			}
			return p.assets(c.Context(), site)
		},
	}
}

func (p *program) assets(ctx context.Context, site string) error {
	who, err := p.session()
	if err != nil {
		return err
	}
	list, err := who.broker.Assets(ctx, site)
	if err != nil {
		return err
	}
	return p.answer(orEmpty(list), func() error {
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
	})
}

func approvers(n int) string {
	if n == 1 {
		return "1 approver"
	}
	return fmt.Sprintf("%d approvers", n)
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
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
