package main

import (
	"context"
	"net/url"
	"slices"
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
		Long:    "Show the newest audit events of all of the broker's nodes, in the order of their time.",
		Example: "  sallyport audit tail --last 50\n  sallyport audit tail --follow -o json",
	}, func(ctx context.Context, who signedIn, _ []string) error {
		logs, err := p.logs(ctx, who)
		if err != nil {
			return err
		}
		t := logTail{next: map[string]int64{}, several: len(logs) > 1}
		all, err := t.newest(ctx, who, logs, last)
		if err != nil {
			return err
		}
		if !follow {
			return p.showEvents(all, t.several)
		}
		return p.followEvents(ctx, who, logs, t, all)
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

// events reads a page of a log's audit events: the last n, or those after a number.
func events(ctx context.Context, who signedIn, log, which string, n int64) (api.AuditEvents, error) {
	return client.AuditEvents.Where(ctx, who.broker, url.Values{"log": {log}, which: {strconv.FormatInt(n, 10)}})
}

// logTail is how far each log was read.
type logTail struct {
	next    map[string]int64
	several bool
}

// newest are the last events of all logs together.
func (t logTail) newest(ctx context.Context, who signedIn, logs []api.AuditLogState, n int) ([]shownEvent, error) {
	all, _, err := t.read(logs, func(log string) (api.AuditEvents, error) { return events(ctx, who, log, "last", int64(n)) })
	return all[max(0, len(all)-n):], err
}

// more are the events of all logs since, and whether there are still more.
func (t logTail) more(ctx context.Context, who signedIn, logs []api.AuditLogState) ([]shownEvent, bool, error) {
	return t.read(logs, func(log string) (api.AuditEvents, error) { return events(ctx, who, log, "after", t.next[log]) })
}

func (t logTail) read(logs []api.AuditLogState, page func(log string) (api.AuditEvents, error)) (all []shownEvent, more bool, err error) {
	all = []shownEvent{}
	for _, l := range logs {
		got, err := page(l.Origin)
		if err != nil {
			return nil, false, err
		}
		for _, e := range got.Events {
			s, err := readEvent(l.Origin, e)
			if err != nil {
				return nil, false, err
			}
			all = append(all, s)
		}
		t.next[l.Origin], more = got.Next, more || got.Next < got.Size
	}
	slices.SortStableFunc(all, func(a, b shownEvent) int { return a.Time.Compare(b.Time) })
	return all, more, nil
}

func (p *program) showEvents(all []shownEvent, several bool) error {
	return table[shownEvent]{
		none:   "No event that you may see.",
		header: []string{"NUMBER", "TIME", "EVENT", "SITE", "WHO", "ABOUT"},
		row: func(e shownEvent) []string {
			return append([]string{e.name(several)}, p.eventCells(e.Event)...)
		},
	}.show(p, all)
}

// followEvents prints events as they come, until it is interrupted.
func (p *program) followEvents(ctx context.Context, who signedIn, logs []api.AuditLogState, t logTail, all []shownEvent) error {
	for more := false; ; {
		for _, s := range all {
			if p.asJSON() {
				if err := display.JSON(p.stdout, s); err != nil {
					return err
				}
				continue
			}
			p.print("%s  %s", s.name(t.several), strings.Join(p.eventCells(s.Event), "  "))
		}
		if !more {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(followEvery):
			}
		}
		var err error
		if all, more, err = t.more(ctx, who, logs); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}
