package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/display"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
)

func (p *program) auditCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "audit",
		Short: "Read, check and prove what the broker wrote down",
		Long: `Read, check and prove what the broker wrote down. Its audit log only grows: every
event is an entry of a tree whose root the broker signs, and the hospitals' agents
and your own "audit verify" remember those roots. The hospital's people see their
site's events and the broker's own, engineers what concerns them.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(p.auditTailCommand(), p.auditVerifyCommand(), p.auditProveCommand())
	return c
}

// shownEvent is an event as -o json shows it.
type shownEvent struct {
	Index int64 `json:"index"`
	witness.Event
}

func (p *program) auditTailCommand() *cobra.Command {
	var follow bool
	var last int
	c := &cobra.Command{
		Use:     "tail",
		Short:   "Show the newest audit events",
		Example: "  sallyport audit tail --last 50\n  sallyport audit tail --follow -o json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if last < 1 || last > 500 {
				return usage("The number of events is between 1 and 500")
			}
			who, err := p.session()
			if err != nil {
				return err
			}
			page, err := who.broker.AuditLast(c.Context(), last)
			if err != nil {
				return err
			}
			if !follow {
				return p.showEvents(page.Events)
			}
			return p.followEvents(c.Context(), who, page)
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is written from now on, one line each")
	c.Flags().IntVar(&last, "last", 20, "how many")
	return c
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
	return p.answer(all, func() error {
		var rows [][]string
		for _, e := range all {
			rows = append(rows, append([]string{strconv.FormatInt(e.Index, 10)}, p.eventCells(e.Event)...))
		}
		if len(rows) == 0 {
			p.say("No event that you may see.")
			return nil
		}
		return display.Table(p.stdout, []string{"NUMBER", "TIME", "EVENT", "SITE", "WHO", "ABOUT"}, rows)
	})
}

func readEvent(e api.AuditEvent) (shownEvent, error) {
	event, err := witness.ParseEvent(e.Entry)
	if err != nil || event.Seq != e.Index {
		return shownEvent{}, &session.Error{Kind: session.Internal, Message: fmt.Sprintf("Event %d is not what the log's format allows", e.Index),
			Next: "Check the whole log with: sallyport audit verify", Err: err}
	}
	return shownEvent{e.Index, event}, nil
}

// eventCells are an event's columns. Whoever prints them cleans them.
func (p *program) eventCells(e witness.Event) []string {
	who := "-"
	if e.Who != nil {
		who = e.Who.Sub
	}
	var about []string
	for _, id := range []string{e.Request, e.Session, e.Recording} {
		if id != "" {
			about = append(about, id)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(e.Details)) {
		if v := e.Details[k]; len(v) <= 40 { // hashes and keys are for -o json
			about = append(about, k+"="+v)
		}
	}
	return []string{e.Time.In(p.zone()).Format("2006-01-02 15:04:05"), e.Event, cmp.Or(e.Site, "-"), who, strings.Join(about, " ")}
}

// followEvery is how often the broker is asked for more.
const followEvery = time.Second

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
		if page, err = who.broker.AuditAfter(ctx, page.Next); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

func (p *program) auditProveCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:     "prove EVENT [-o FILE]",
		Short:   "Print one event with the proof that it is in the log",
		Long:    "Print one event, named by its number in \"audit tail\", with the proof that it is in the log: a small text that \"sallyport verify FILE\" checks offline. With -o it goes into a file.",
		Example: "  sallyport audit prove 4711 -o event-4711.proof\n  sallyport verify event-4711.proof",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			index, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || index < 0 {
				return usage("%.40q is not the number of an event", args[0]).WithNext("See the numbers with: sallyport audit tail")
			}
			who, err := p.session()
			if err != nil {
				return err
			}
			answer, err := who.broker.AuditProof(c.Context(), index)
			if err != nil {
				return err
			}
			proof, err := witness.ParseInclusion(answer.Proof)
			if err == nil && proof.Index != index {
				err = fmt.Errorf("it is about event %d", proof.Index)
			}
			if err == nil {
				_, err = proof.Included(nil)
			}
			if err != nil {
				return badLog("The broker's proof proves nothing", err)
			}
			if file == "" { // base64 and hashes: nothing in it can drive a terminal
				_, err := p.stdout.Write(proof.Text())
				return err
			}
			if err := durable.Write(file, proof.Text()); err != nil {
				return err
			}
			return p.answer(map[string]any{"index": index, "file": file}, func() error {
				p.say("Saved %s. Check it with: sallyport verify %s", file, file)
				return nil
			})
		},
	}
	// Shadows the global -o: here it names the file, and --json asks for JSON.
	c.Flags().StringVarP(&file, "output", "o", "", "the file to write (default: print it)")
	return c
}

// badLog is an error about a log that is not what it should be.
func badLog(message string, err error) error {
	return &session.Error{Kind: session.Refused, Message: message, Err: err,
		Next: "Keep what you have, and ask the broker's operators and the hospital's IT about it."}
}
