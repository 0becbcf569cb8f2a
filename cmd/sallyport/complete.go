package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/cmd/internal/display"
	"github.com/sallyport/sallyport/session"
)

// Completion asks the broker, briefly, and says nothing when it cannot.

const completionTime = 2 * time.Second

type completer = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// complete wraps a lookup: only the first argument, names only, silent on failure.
func (p *program) complete(look func(context.Context, signedIn) []string) completer {
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
		return look(ctx, who), cobra.ShellCompDirectiveNoFileComp
	}
}

func (p *program) completeTargets(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	return p.complete(func(ctx context.Context, who signedIn) []string {
		var names []string
		assets, _ := who.broker.Assets(ctx, "")
		for _, a := range assets {
			for _, s := range a.Services {
				if session.ValidName(a.Name) && session.ValidName(s.Name) {
					names = append(names, a.Name+"/"+s.Name)
				}
			}
		}
		return names
	})(c, args, typed)
}

// completeRequests offers ids; an empty status means all.
func (p *program) completeRequests(status session.Status) completer {
	return p.complete(func(ctx context.Context, who signedIn) []string {
		var ids []string
		list, _ := who.broker.Requests(ctx)
		for _, r := range list {
			if _, err := session.ParseRequestID(r.ID); err == nil && (status == "" || r.Status == status) && session.ValidName(r.Asset) {
				ids = append(ids, r.ID+"\t"+r.Asset)
			}
		}
		return ids
	})
}

func (p *program) completeEngineers(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	return p.complete(func(ctx context.Context, who signedIn) []string {
		var names []string
		list, _ := who.broker.Engineers(ctx)
		for _, e := range list {
			if name := firstOf(e.Email, e.Sub); display.Clean(name) == name && !strings.ContainsAny(name, " \t\n") {
				names = append(names, name)
			}
		}
		return names
	})(c, args, typed)
}

func (p *program) completeSessions(liveOnly bool) completer {
	return p.complete(func(ctx context.Context, who signedIn) []string {
		var ids []string
		list, _ := who.broker.Sessions(ctx)
		for _, s := range list {
			if _, err := session.ParseSessionID(s.ID); err == nil && (!liveOnly || s.State != session.Ended) && session.ValidName(s.Asset) {
				ids = append(ids, s.ID+"\t"+s.Asset)
			}
		}
		return ids
	})
}

func (p *program) completeRecordings(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	return p.complete(func(ctx context.Context, who signedIn) []string {
		var ids []string
		list, _ := who.broker.Recordings(ctx)
		for _, r := range list {
			if _, err := session.ParseRecordingID(r.ID); err == nil && session.ValidName(r.Asset) {
				ids = append(ids, r.ID+"\t"+r.Asset)
			}
		}
		return ids
	})(c, args, typed)
}
