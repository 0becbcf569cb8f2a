package main

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/display"
)

// wanted are the flags that filter recordings.
type wanted struct {
	asset, engineer, from, to, workOrder string
	with                                 []string
	limit                                int
}

func (p *program) recordingsListCommand() *cobra.Command {
	var f wanted
	c := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List recordings, newest first",
		Long: `List recordings, newest first, all of them or those that fit every filter. A day
begins and ends in this machine's time zone.`,
		Example: `  sallyport recordings ls --asset NGH-PETCT1 --from 2026-11-01
  sallyport recordings ls --with unreviewed,files`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			filter, err := f.values(p.zone())
			if err != nil {
				return err
			}
			who, err := p.session()
			if err != nil {
				return err
			}
			list, more, err := find(c.Context(), who, filter, f.limit)
			if err != nil {
				return err
			}
			return p.answer(orEmpty(list), func() error { return p.listRecordings(list, more, len(filter) > 0) })
		},
	}
	c.Flags().StringVar(&f.asset, "asset", "", "of this scanner")
	c.Flags().StringVar(&f.engineer, "engineer", "", "of this engineer: part of an e-mail address or a name")
	c.Flags().StringVar(&f.from, "from", "", "begun on this day or after it, or at a time such as 2026-11-23T08:00:00Z")
	c.Flags().StringVar(&f.to, "to", "", "begun until the end of this day, or before a time")
	c.Flags().StringVar(&f.workOrder, "work-order", "", "for this work order, or part of it")
	c.Flags().StringSliceVar(&f.with, "with", nil, "that have all of these: files, killed, torn, unreviewed")
	c.Flags().IntVar(&f.limit, "limit", 500, "how many at most")
	_ = c.RegisterFlagCompletionFunc("with", cobra.FixedCompletions([]string{"files", "killed", "torn", "unreviewed"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// values are the filter as the broker reads it.
func (f wanted) values(zone *time.Location) (url.Values, error) {
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

// find asks page by page, until there are enough.
func find(ctx context.Context, who signedIn, filter url.Values, limit int) (all []api.Recording, more bool, err error) {
	for before := ""; ; {
		page := url.Values{"limit": {strconv.Itoa(min(limit-len(all), 500))}}
		for name := range filter {
			page.Set(name, filter.Get(name))
		}
		if before != "" {
			page.Set("before", before)
		}
		some, next, err := who.broker.FindRecordings(ctx, page)
		if err != nil {
			return nil, false, err
		}
		all = append(all, some...)
		if next == "" || len(all) >= limit || len(some) == 0 {
			return all, next != "", nil
		}
		before = next
	}
}

func (p *program) listRecordings(list []api.Recording, more, filtered bool) error {
	switch {
	case len(list) == 0 && filtered:
		p.say("No recording fits.")
		return nil
	case len(list) == 0:
		p.say("No recordings yet. Each connection to a scanner makes one.")
		return nil
	}
	var rows [][]string
	for _, r := range list {
		rows = append(rows, []string{r.ID, r.State, r.Asset + "/" + r.Service, r.Engineer, p.local(r.Started), lasted(r), display.Size(r.Bytes)})
	}
	if err := display.Table(p.stdout, []string{"RECORDING", "STATE", "ASSET/SERVICE", "ENGINEER", "STARTED", "LASTED", "SIZE"}, rows); err != nil {
		return err
	}
	if more {
		p.say("There are more. Narrow the list with --from, --asset or --work-order, or raise --limit.")
	}
	return nil
}

func (p *program) recordingsReviewCommand() *cobra.Command {
	var a api.Attestation
	c := &cobra.Command{
		Use:   "review RECORDING --attest as-agreed|concern",
		Short: "Say of a recording whether all was as agreed",
		Long: `Say of a recording whether all was as agreed. Approvers and auditors of the site do
this, never the engineer. A review stands in the audit log under your name and stays.
A concern says in a comment what it is about.`,
		Example: `  sallyport recordings review V-aaaaaaaaaaaaaaaaaaaaaaaaaa --attest as-agreed
  sallyport recordings review V-aaaaaaaaaaaaaaaaaaaaaaaaaa --attest concern --comment "a log was taken that nobody named"`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: p.completeRecordings,
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case a.Attestation != "as-agreed" && a.Attestation != "concern":
				return usage("It is not said whether all was as agreed").WithNext("Add --attest as-agreed, or --attest concern --comment \"...\".")
			case a.Attestation == "concern" && strings.TrimSpace(a.Comment) == "":
				return usage("It is not said what the concern is about").WithNext("Add --comment \"...\".")
			}
			who, id, err := p.aboutRecording(args[0])
			if err != nil {
				return err
			}
			r, err := who.broker.Review(c.Context(), id, a)
			if err != nil {
				return err
			}
			return p.answer(r, func() error {
				p.say("Reviewed %s: %s.", id, strings.ReplaceAll(a.Attestation, "-", " "))
				return nil
			})
		},
	}
	c.Flags().StringVar(&a.Attestation, "attest", "", "as-agreed or concern")
	c.Flags().StringVar(&a.Comment, "comment", "", "what you want to say about it, at most 1000 characters")
	_ = c.RegisterFlagCompletionFunc("attest", cobra.FixedCompletions([]string{"as-agreed", "concern"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}
