package main

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/cmd/internal/display"
)

// recordingFilter are the flags that filter recordings.
type recordingFilter struct {
	asset, engineer, from, to, workOrder string
	with                                 []string
	limit                                int
}

func (p *program) recordingsListCommand() *cobra.Command {
	var f recordingFilter
	c := ls("List recordings, newest first")
	c.Long = `List recordings, newest first, all of them or those that fit every filter. A day
begins and ends in this machine's time zone.`
	c.Example = `  sallyport recordings ls --asset NGH-PETCT1 --from 2026-11-01
  sallyport recordings ls --with unreviewed,files`
	filter := url.Values{}
	c.PreRunE = func(*cobra.Command, []string) (err error) {
		filter, err = f.values(p.zone())
		return err
	}
	p.signed(c, func(ctx context.Context, who signedIn, _ []string) error {
		list, more, err := client.Recordings.First(ctx, who.broker, filter, f.limit)
		if err != nil {
			return err
		}
		t := p.recordingTable()
		if len(filter) > 0 {
			t.none = "No recording fits."
		}
		if err := t.show(p, list); err != nil {
			return err
		}
		if more {
			p.say("There are more. Narrow the list with --from, --asset or --work-order, or raise --limit.")
		}
		return nil
	})
	c.Flags().StringVar(&f.asset, "asset", "", "of this scanner")
	c.Flags().StringVar(&f.engineer, "engineer", "", "of this engineer: part of an e-mail address or a name")
	c.Flags().StringVar(&f.from, "from", "", "begun on this day or after it, or at a time such as 2026-11-23T08:00:00Z")
	c.Flags().StringVar(&f.to, "to", "", "begun until the end of this day, or before a time")
	c.Flags().StringVar(&f.workOrder, "work-order", "", "for this work order, or part of it")
	c.Flags().StringSliceVar(&f.with, "with", nil, "that have all of these: files, killed, torn, unreviewed, stuck")
	c.Flags().IntVar(&f.limit, "limit", 500, "how many at most")
	_ = c.RegisterFlagCompletionFunc("with", cobra.FixedCompletions([]string{"files", "killed", "torn", "unreviewed", "stuck"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// values are the filter as the broker reads it.
func (f recordingFilter) values(zone *time.Location) (url.Values, error) {
	if f.limit < 1 {
		return nil, usage("A list has at least one entry").WithNext("Try --limit 20.")
	}
	from, err := recordedAt(f.from, 0, zone)
	if err != nil {
		return nil, err
	}
	to, err := recordedAt(f.to, 1, zone)
	if err != nil {
		return nil, err
	}
	v := url.Values{}
	for name, value := range map[string]string{"asset": f.asset, "engineer": f.engineer, "from": from, "to": to, "work_order": f.workOrder, "with": strings.Join(f.with, ",")} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v, nil
}

// recordedAt reads a time, or a local day with some days added.
func recordedAt(text string, days int, zone *time.Location) (string, error) {
	if text == "" {
		return "", nil
	}
	t, err := time.ParseInLocation(time.DateOnly, text, zone)
	if err == nil {
		return t.AddDate(0, 0, days).UTC().Format(time.RFC3339), nil
	}
	if t, err = time.Parse(time.RFC3339, text); err != nil {
		return "", usage("%.40q is neither a day nor a time", text).WithNext("Write 2026-11-23, or 2026-11-23T08:00:00Z.")
	}
	return t.UTC().Format(time.RFC3339), nil
}

func (p *program) recordingTable() table[api.Recording] {
	return table[api.Recording]{
		none:   "No recordings yet. Each connection to a scanner makes one.",
		header: []string{"RECORDING", "STATE", "SITE/ASSET/SERVICE", "ENGINEER", "STARTED", "LASTED", "SIZE"},
		row: func(r api.Recording) []string {
			lasted := "goes on"
			if r.Ended != nil {
				lasted = display.Span(r.Ended.Sub(r.Started))
			}
			return []string{r.ID, r.State, fullName(r.Site, r.Asset, r.Service), r.Engineer, p.local(r.Started), lasted, display.Size(r.Bytes)}
		},
	}
}
