package api

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// AuditLog is a node's audit log, or the copy of one.
type AuditLog interface {
	Checkpoint() ([]byte, error)
	Entries(from, to int64) ([][]byte, error)
	Leaves(from, to int64) ([]byte, error)
	Prove(index int64) (witness.Inclusion, error)
}

// AuditLogs are the audit logs of all nodes of the broker.
type AuditLogs interface {
	// Nodes are this node, and then the others that it knows.
	Nodes() session.Nodes
	// OpenLog opens the log of one of them; fs.ErrNotExist: there is no copy of it yet.
	OpenLog(ctx context.Context, origin string) (AuditLog, error)
}

type (
	// ofLog names a log; empty: this node's own.
	ofLog    string
	whichLog struct {
		Log ofLog `query:"log" maxLength:"300" doc:"name of the log; this node's own where none is named"`
	}
	eventsQuery struct {
		Log   ofLog `query:"log" maxLength:"300" doc:"name of the log; this node's own where none is named"`
		After int64 `query:"after" minimum:"0" doc:"number of the first entry to look at"`
		Last  int   `query:"last" minimum:"0" maximum:"500" doc:"the newest events instead, this many"`
	}
	byIndex struct {
		Log   ofLog `query:"log" maxLength:"300" doc:"name of the log; this node's own where none is named"`
		Index int64 `path:"index" minimum:"0"`
	}
	leavesQuery struct {
		Log  ofLog `query:"log" maxLength:"300" doc:"name of the log; this node's own where none is named"`
		From int64 `query:"from" minimum:"0"`
		To   int64 `query:"to" minimum:"0" doc:"without this one; at most 16384 are answered"`
	}
)

func (d *door) registerAudit(api huma.API) {
	handle(d, api, "list-audit-logs", func(ctx context.Context, _ signedIn, _ *none) (*of[AuditLogList], error) {
		return answer(d.auditLogs(ctx)), nil
	})
	handle(d, api, "list-audit-events", func(ctx context.Context, who signedIn, in *eventsQuery) (*of[AuditEvents], error) {
		log, node, size, err := d.auditLog(ctx, in.Log)
		if err != nil {
			return nil, err
		}
		var v AuditEvents
		if in.Last > 0 {
			v, err = lastEvents(log, size, who, in.Last)
		} else if err = in.Log.within(in.After, size); err == nil {
			v, err = eventsAfter(log, size, who, in.After)
		}
		v.Log, v.LeftOut = node.Origin, d.besides(in.Log)
		return answer(v), err
	})
	handle(d, api, "prove-audit-event", func(ctx context.Context, who signedIn, in *byIndex) (*of[AuditProof], error) {
		none := &session.Error{Kind: session.Invalid, Message: fmt.Sprintf("There is no event %d.", in.Index),
			Next: "See sallyport audit tail.", Err: access.ErrUnknown}
		log, _, _, err := d.auditLog(ctx, in.Log)
		if err != nil {
			return nil, err
		}
		entries, err := log.Entries(in.Index, in.Index+1)
		if err != nil {
			return nil, err
		}
		if len(entries) != 1 || !mayRead(who, entries[0]) {
			return nil, none
		}
		p, err := log.Prove(in.Index)
		if errors.Is(err, os.ErrNotExist) {
			return nil, none
		}
		return answer(AuditProof{Proof: p.Text()}), err
	})
	handle(d, api, "get-audit-checkpoint", func(ctx context.Context, _ signedIn, in *whichLog) (*of[AuditCheckpoint], error) {
		log, node, _, err := d.auditLog(ctx, in.Log)
		if err != nil {
			return nil, err
		}
		note, err := log.Checkpoint()
		return answer(AuditCheckpoint{Checkpoint: note, Key: node.Key}), err
	})
	handle(d, api, "list-audit-leaves", func(ctx context.Context, _ signedIn, in *leavesQuery) (*of[AuditLeaves], error) {
		log, _, size, err := d.auditLog(ctx, in.Log)
		if err == nil {
			err = in.Log.within(in.From, size)
		}
		if err != nil {
			return nil, err
		}
		hashes, err := log.Leaves(in.From, min(in.To, in.From+maxLeaves))
		return answer(AuditLeaves{From: in.From, Hashes: hashes}), err
	})
}

// auditLog opens the log that a call names, and says whose it is and how long.
func (d *door) auditLog(ctx context.Context, in ofLog) (AuditLog, session.Node, int64, error) {
	nodes := d.Audit.Nodes()
	node := nodes[0]
	if in != "" {
		var known bool
		if node, known = nodes.At(string(in)); !known {
			return nil, node, 0, &session.Error{Kind: session.Invalid, Message: "This node knows of no audit log of that name.",
				Next: "See sallyport audit tail.", Err: access.ErrUnknown}
		}
	}
	log, err := d.Audit.OpenLog(ctx, node.Origin)
	if err == nil {
		var note []byte
		if note, err = log.Checkpoint(); err == nil {
			at, err := witness.ReadCheckpoint(note)
			return log, node, at.Size, err
		}
	}
	return nil, node, 0, (&session.Error{Kind: session.Unreachable, Message: "The audit log " + node.Origin + " cannot be read here: " + whyUnread(err) + ".",
		Err: err}).WithNext("Ask again in a minute; if it stays so, ask the broker's operators.")
}

// besides are the logs that an answer leaves out which was asked for none by name.
func (d *door) besides(in ofLog) (names []string) {
	if in == "" {
		for _, node := range d.Audit.Nodes()[1:] {
			names = append(names, node.Origin)
		}
	}
	return names
}

func whyUnread(err error) string {
	if errors.Is(err, os.ErrNotExist) {
		return "there is no copy of it yet"
	}
	return "its copy is not sound"
}

// auditLogs lists the logs, those that cannot be read among them.
func (d *door) auditLogs(ctx context.Context) AuditLogList {
	var v AuditLogList
	for _, node := range d.Audit.Nodes() {
		one := AuditLogState{Origin: node.Origin, Key: node.Key}
		_, _, size, err := d.auditLog(ctx, ofLog(node.Origin))
		if one.Size = size; err != nil {
			d.Log.Error("an audit log cannot be read", "log", node.Origin, "err", err)
			one.Problem = whyUnread(err)
		}
		v.Logs = append(v.Logs, one)
	}
	return v
}

// mayRead says whether an entry is for the caller. What cannot be read is for nobody.
func mayRead(who signedIn, entry []byte) bool {
	e, err := witness.ParseEvent(entry)
	return err == nil && e.SeenBy(who.Identity, who.Is(session.Engineer), who.Is(session.Approver) || who.Is(session.Auditor), who.At)
}

// within refuses a number beyond the end of the log: it is another log's. Where the log is
// named, its copy may only be a moment behind.
func (in ofLog) within(from, size int64) error {
	if in == "" && from > size {
		return (&session.Error{Kind: session.Invalid, Message: fmt.Sprintf("This broker's log has %d entries, and none at %d.", size, from)}).WithNext("Begin at its start.")
	}
	return nil
}

// eventsAfter reads on from a number, as far as one call goes.
func eventsAfter(log AuditLog, size int64, who signedIn, from int64) (AuditEvents, error) {
	v := AuditEvents{Size: size, From: from, Next: from, Events: []AuditEvent{}}
	for v.Next < v.Size && v.Next-from < maxScanned && len(v.Events) < maxShown {
		entries, err := log.Entries(v.Next, v.Size)
		if err != nil {
			return AuditEvents{}, err
		}
		for _, entry := range entries {
			if len(v.Events) == maxShown {
				break
			}
			if mayRead(who, entry) {
				v.Events = append(v.Events, AuditEvent{Index: v.Next, Entry: entry})
			}
			v.Next++
		}
	}
	return v, nil
}

// lastEvents reads the newest, in the log's order.
func lastEvents(log AuditLog, size int64, who signedIn, n int) (AuditEvents, error) {
	const bundle = 256
	v := AuditEvents{Size: size, From: size, Next: size, Events: []AuditEvent{}}
	for end := size; end > 0 && end > size-maxScanned && len(v.Events) < n; {
		start := (end - 1) / bundle * bundle
		entries, err := log.Entries(start, end)
		if err != nil {
			return AuditEvents{}, err
		}
		for i, entry := range slices.Backward(entries) {
			if len(v.Events) == n {
				break
			}
			if v.From = start + int64(i); mayRead(who, entry) {
				v.Events = append(v.Events, AuditEvent{Index: v.From, Entry: entry})
			}
		}
		end = start
	}
	slices.Reverse(v.Events)
	return v, nil
}
