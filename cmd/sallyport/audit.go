package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/broker/api"
	"github.com/sallyport/sallyport/cmd/internal/client"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

func (p *program) auditCommand() *cobra.Command {
	return noun(&cobra.Command{
		Use:   "audit",
		Short: "Read, check and prove what the broker wrote down",
		Long: `Read, check and prove what the broker wrote down. Its audit log only grows: every
event is an entry of a tree whose root the broker signs, and the hospitals' agents
and your own "audit verify" remember those roots. The hospital's people see their
site's events and the broker's own, engineers what concerns them.

A broker of several nodes has a log for each. All are read, those of other nodes than the
one that answers from their copies, a second or two behind; a log that cannot be read is
named. With several, an event is called by its node and its number: b/4711.`,
	}, p.auditTailCommand(), p.auditVerifyCommand(), p.auditProveCommand())
}

// logs are the audit logs of the broker's nodes that can be read; the others are said.
func (p *program) logs(ctx context.Context, who signedIn) ([]api.AuditLogState, error) {
	list, err := client.AuditLogs.Get(ctx, who.broker)
	if err != nil {
		return nil, err
	}
	var there []api.AuditLogState
	for _, l := range list.Logs {
		if l.Problem != "" {
			p.warn("The audit log %s is left out, because %s.", wording.Clean(l.Origin), wording.Clean(l.Problem))
			continue
		}
		there = append(there, l)
	}
	if len(there) == 0 {
		return nil, badLog("None of the broker's audit logs can be read", nil)
	}
	return there, nil
}

// shownEvent is an event as -o json shows it.
type shownEvent struct {
	Index int64  `json:"index"`
	Log   string `json:"log"`
	witness.Event
}

// name is what the event is called: by its node too where there are several logs.
func (e shownEvent) name(several bool) string {
	number := strconv.FormatInt(e.Index, 10)
	if several {
		return path.Base(e.Log) + "/" + number
	}
	return number
}

func readEvent(log string, e api.AuditEvent) (shownEvent, error) {
	event, err := witness.ParseEvent(e.Entry)
	if err != nil || event.Seq != e.Index {
		return shownEvent{}, &session.Error{Kind: session.Internal, Message: fmt.Sprintf("Event %d of the log %s is not what the log's format allows", e.Index, wording.Clean(log)),
			Next: "Check the whole log with: sallyport audit verify", Err: err}
	}
	return shownEvent{e.Index, log, event}, nil
}

// eventCells are an event's columns. Whoever prints them cleans them.
func (p *program) eventCells(e witness.Event) []string {
	who := "-"
	if e.Who != nil {
		who = session.Person{Identity: *e.Who}.Shown()
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
