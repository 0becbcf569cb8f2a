package main

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/cmd/internal/display"
)

func (p *program) auditTailCommand() *cobra.Command {
	var follow bool
	var last int
	c := p.signed(&cobra.Command{
		Use:     "tail",
		Short:   "Show the newest audit events",
		Example: "  sallyport audit tail --last 50\n  sallyport audit tail --follow -o json",
	}, func(ctx context.Context, who signedIn, _ []string) error {
		page, err := events(ctx, who, "last", int64(last))
		if err != nil {
			return err
		}
		if !follow {
			return p.showEvents(page.Events)
		}
		return p.followEvents(ctx, who, page)
	})
	c.PreRunE = func(*cobra.Command, []string) error {
		if last < 1 || last > 500 {
			return usage("The number of events is between 1 and 500")
		}
		return nil
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is written from now on, one line each")
	c.Flags().IntVar(&last, "last", 20, "how many")
	return c
}

// events reads a page of audit events: the last n, or those after a number.
func events(ctx context.Context, who signedIn, which string, n int64) (api.AuditEvents, error) {
	return client.AuditEvents.Where(ctx, who.broker, url.Values{which: {strconv.FormatInt(n, 10)}})
}

func (p *program) showEvents(events []api.AuditEvent) error {
	all := []shownEvent{}
	for _, e := range events {
		s, err := readEvent(e)
		if err != nil {
			return err
		}
		all = append(all, s)
	}
	return table[shownEvent]{
		none:   "No event that you may see.",
		header: []string{"NUMBER", "TIME", "EVENT", "SITE", "WHO", "ABOUT"},
		row: func(e shownEvent) []string {
			return append([]string{strconv.FormatInt(e.Index, 10)}, p.eventCells(e.Event)...)
		},
	}.show(p, all)
}

// followEvents prints events as they come, until it is interrupted.
func (p *program) followEvents(ctx context.Context, who signedIn, page api.AuditEvents) error {
	for {
		for _, e := range page.Events {
			s, err := readEvent(e)
			if err != nil {
				return err
			}
			if p.asJSON() {
				if err := display.JSON(p.stdout, s); err != nil {
					return err
				}
				continue
			}
			p.print("%s  %s", strconv.FormatInt(s.Index, 10), strings.Join(p.eventCells(s.Event), "  "))
		}
		if page.Next >= page.Size {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(followEvery):
			}
		}
		var err error
		if page, err = events(ctx, who, "after", page.Next); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}
