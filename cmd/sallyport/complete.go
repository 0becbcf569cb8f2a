package main

import (
	"cmp"
	"context"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// Completion asks the broker, briefly, and says nothing when it cannot.

type completer = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// offer completes the first argument with names of the newest entries of a list that fit a
// filter; those that could do harm in a shell are left out by name.
func offer[T any](p *program, from client.List[T], filter url.Values, names func(T) []string) completer {
	return func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		who, err := p.session()
		if len(args) > 0 || err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx := c.Context()
		if ctx == nil {
			ctx = context.Background()
		}
		ctx, cancel := context.WithTimeout(ctx, completionTime)
		defer cancel()
		var all []string
		list, _, _ := from.First(ctx, who.broker, filter, 500)
		for _, v := range list {
			all = append(all, names(v)...)
		}
		return all, cobra.ShellCompDirectiveNoFileComp
	}
}

// known is an id with its scanner beside it; nothing when either is not as it should be.
func known(id string, notID error, site, asset string, fits bool) []string {
	if notID != nil || !fits || !session.ValidName(site) || !session.ValidName(asset) {
		return nil
	}
	return []string{id + "\t" + fullName(site, asset, "")}
}

func (p *program) targets() completer {
	return offer(p, client.Assets, nil, func(a api.Asset) (names []string) {
		for _, s := range a.Services {
			if of := (session.Target{Site: a.Site, Asset: a.Name, Service: s.Name}); of.Valid() && of.Site != "" {
				names = append(names, of.String())
			}
		}
		return names
	})
}

// requests offers ids; an empty status means all.
func (p *program) requests(status session.Status) completer {
	filter := url.Values{}
	if status != "" {
		filter.Set("status", string(status))
	}
	return offer(p, client.Requests, filter, func(r api.Request) []string {
		_, err := session.ParseRequestID(r.ID)
		return known(r.ID, err, r.Site, r.Asset, status == "" || r.Status == status)
	})
}

func (p *program) engineers() completer {
	return offer(p, client.Engineers, nil, func(e api.Engineer) []string {
		if name := cmp.Or(e.Email, e.Sub); wording.Clean(name) == name && !strings.ContainsAny(name, " \t\n") {
			return []string{name}
		}
		return nil
	})
}

func (p *program) sessions(liveOnly bool) completer {
	filter := url.Values{}
	if liveOnly {
		filter.Set("state", "live")
	}
	return offer(p, client.Sessions, filter, func(s api.Session) []string {
		_, err := session.ParseSessionID(s.ID)
		return known(s.ID, err, s.Site, s.Asset, !liveOnly || s.State != session.Ended)
	})
}

func (p *program) recordings() completer {
	return offer(p, client.Recordings, nil, func(r api.Recording) []string {
		_, err := session.ParseRecordingID(r.ID)
		return known(r.ID, err, r.Site, r.Asset, true)
	})
}
