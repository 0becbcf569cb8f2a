package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

func (p *program) auditCommand() *cobra.Command {
	return noun(&cobra.Command{
		Use:   "audit",
		Short: "Read, check and prove what the broker wrote down",
		Long: `Read, check and prove what the broker wrote down. Its audit log only grows: every
event is an entry of a tree whose root the broker signs, and the hospitals' agents
and your own "audit verify" remember those roots. The hospital's people see their
site's events and the broker's own, engineers what concerns them.`,
	}, p.auditTailCommand(), p.auditVerifyCommand(), p.auditProveCommand())
}

// shownEvent is an event as -o json shows it.
type shownEvent struct {
	Index int64 `json:"index"`
	witness.Event
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

// badLog is an error about a log that is not what it should be.
func badLog(message string, err error) error {
	return &session.Error{Kind: session.Refused, Message: message, Err: err,
		Next: "Keep what you have, and ask the broker's operators and the hospital's IT about it."}
}
