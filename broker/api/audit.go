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

type (
	eventsQuery struct {
		After int64 `query:"after" minimum:"0" doc:"number of the first entry to look at"`
		Last  int   `query:"last" minimum:"0" maximum:"500" doc:"the newest events instead, this many"`
	}
	byIndex struct {
		Index int64 `path:"index" minimum:"0"`
	}
	leavesQuery struct {
		From int64 `query:"from" minimum:"0"`
		To   int64 `query:"to" minimum:"0" doc:"without this one; at most 16384 are answered"`
	}
)

func (d *door) registerAudit(api huma.API) {
	handle(d, api, "list-audit-events", func(_ context.Context, who signedIn, in *eventsQuery) (*of[AuditEvents], error) {
		if in.Last > 0 {
			v, err := d.lastEvents(who, in.Last)
			return answer(v), err
		}
		v, err := d.eventsAfter(who, in.After)
		return answer(v), err
	})
	handle(d, api, "prove-audit-event", func(_ context.Context, who signedIn, in *byIndex) (*of[AuditProof], error) {
		none := &session.Error{Kind: session.Invalid, Message: fmt.Sprintf("There is no event %d.", in.Index),
			Next: "See sallyport audit tail.", Err: access.ErrUnknown}
		entries, err := d.Audit.Entries(in.Index, in.Index+1)
		if err != nil {
			return nil, err
		}
		if len(entries) != 1 || !mayRead(who, entries[0]) {
			return nil, none
		}
		p, err := d.Audit.Prove(in.Index)
		if errors.Is(err, os.ErrNotExist) {
			return nil, none
		}
		return answer(AuditProof{Proof: p.Text()}), err
	})
	handle(d, api, "get-audit-checkpoint", func(context.Context, signedIn, *none) (*of[AuditCheckpoint], error) {
		note, err := d.Audit.Checkpoint()
		return answer(AuditCheckpoint{Checkpoint: note, Key: session.KeyLine(d.Audit.Key())}), err
	})
	handle(d, api, "list-audit-leaves", func(_ context.Context, _ signedIn, in *leavesQuery) (*of[AuditLeaves], error) {
		if err := d.within(in.From); err != nil {
			return nil, err
		}
		hashes, err := d.Audit.Leaves(in.From, min(in.To, in.From+maxLeaves))
		return answer(AuditLeaves{From: in.From, Hashes: hashes}), err
	})
}

// mayRead says whether an entry is for the caller. What cannot be read is for nobody.
func mayRead(who signedIn, entry []byte) bool {
	e, err := witness.ParseEvent(entry)
	return err == nil && e.SeenBy(who.Identity, who.Is(session.Engineer), who.Is(session.Approver) || who.Is(session.Auditor), who.At)
}

// within refuses a number beyond the end of the log: it is another log's.
func (d *door) within(from int64) error {
	if size := d.Audit.Size(); from > size {
		return (&session.Error{Kind: session.Invalid, Message: fmt.Sprintf("This broker's log has %d entries, and none at %d.", size, from)}).WithNext("Begin at its start.")
	}
	return nil
}

// eventsAfter reads on from a number, as far as one call goes.
func (d *door) eventsAfter(who signedIn, from int64) (AuditEvents, error) {
	v := AuditEvents{Size: d.Audit.Size(), From: from, Next: from, Events: []AuditEvent{}}
	if err := d.within(from); err != nil {
		return AuditEvents{}, err
	}
	for v.Next < v.Size && v.Next-from < maxScanned && len(v.Events) < maxShown {
		entries, err := d.Audit.Entries(v.Next, v.Size)
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
func (d *door) lastEvents(who signedIn, n int) (AuditEvents, error) {
	const bundle = 256
	size := d.Audit.Size()
	v := AuditEvents{Size: size, From: size, Next: size, Events: []AuditEvent{}}
	for end := size; end > 0 && end > size-maxScanned && len(v.Events) < n; {
		start := (end - 1) / bundle * bundle
		entries, err := d.Audit.Entries(start, end)
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
