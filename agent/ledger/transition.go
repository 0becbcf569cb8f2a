package ledger

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// The life of an entry. Every arrow is one file replaced and synced; nothing else
// ever happens to an entry, and no arrow leads back.
//
//	          approve (receipt kept; another grant starts anew)
//	            ┌───┐
//	Pend ──▶ pending ──admit──▶ admitted ──begin──▶ opened ⟲ begin joins, until the deadline
//	            │                   │                  │
//	            └─────withdraw──────┴───────end────────┴──▶ closed, for good
//
// While admitted or opened, keys join (keys.go); while opened, the deadline moves
// (extend.go) and causes freeze it (freeze.go). An extension goes from pending to
// closed at once. That a window or a session is over is derived from the time, never stored.
type state string

const (
	pending  state = "pending"
	admitted state = "admitted"
	opened   state = "opened"
	closed   state = "closed"
)

// record is an entry as it stands in its file.
type record struct {
	V         int               `json:"v"`
	State     state             `json:"state"`
	Request   []byte            `json:"request"`
	Engineer  grant.Receipt     `json:"engineer"`
	Grant     []byte            `json:"grant"`
	Approvals []grant.Receipt   `json:"approvals"`
	Admitted  time.Time         `json:"admitted"`
	Opened    time.Time         `json:"opened"`
	Deadline  time.Time         `json:"deadline"`
	Closed    time.Time         `json:"closed"`
	Reason    session.EndReason `json:"reason"`
	Seq       uint64            `json:"seq"`
	// What came in during the grant's life; see keys.go, extend.go, freeze.go, critical.go.
	Activations []activation `json:"activations,omitempty"`
	Extensions  []extension  `json:"extensions,omitempty"`
	during
	said
}

// said is what people of the hospital said at the agent itself; see here.go.
type said struct {
	// Consent is the operator's, with which the session was opened.
	Consent *session.Consented `json:"consent,omitempty"`
	Here    []here             `json:"here,omitempty"`
	Denied  *denial            `json:"denied,omitempty"`
}

// during is what happens while a session lives, or is about to.
type during struct {
	Tries    session.Tries `json:"tries,omitzero"` // see consent.go
	Frozen   []string      `json:"frozen,omitempty"`
	Sections []section     `json:"sections,omitempty"`
}

// approve adds a receipt; changed is false when the person already approved this
// very document, by the same proofs.
func (e *entry) approve(grantDoc []byte, r grant.Receipt) (next record, changed bool, err error) {
	same := bytes.Equal(e.rec.Grant, grantDoc)
	by := slices.IndexFunc(e.rec.Approvals, func(a grant.Receipt) bool { return a.Person.Identity == r.Person.Identity })
	joined, more := grant.Receipt{}, false // with what else the same person gave
	if same && by >= 0 {
		joined, more = e.rec.Approvals[by].With(r)
	}
	switch {
	case !e.shut && same && by >= 0 && e.rec.State != closed && (!more || e.rec.State != pending):
		return e.rec, false, nil
	case e.shut || e.rec.State != pending:
		return record{}, false, e.used()
	}
	if !r.Received.Before(time.Unix(e.request.EXP, 0)) {
		return record{}, false, expired("The request's time window is over.", "Ask the engineer to request again.")
	}
	if r.Role != grant.RoleApprove || r.Subject != grant.GrantHash(grantDoc) {
		return record{}, false, refused("The approval is for another grant.", "Approve again.", nil)
	}
	next = e.rec
	if more {
		next.Approvals = slices.Clone(next.Approvals)
		next.Approvals[by] = joined
		return next, true, nil
	}
	if same {
		next.Approvals = append(slices.Clone(next.Approvals), r)
	} else {
		next.Grant, next.Approvals, next.Here = slices.Clone(grantDoc), []grant.Receipt{r}, nil
	}
	return next, true, nil
}

// admit takes over the documents and receipts that were verified, which must stand
// on the very request and token that pend here.
func (e *entry) admit(v grant.Verified, now time.Time) (record, error) {
	if e.shut || e.rec.State != pending {
		return record{}, e.used()
	}
	if !bytes.Equal(v.RequestBytes(), e.rec.Request) || v.Engineer().Proof.Token != e.rec.Engineer.Proof.Token {
		return record{}, refused("The grant stands on another delivery of this request.", "Ask again.", nil)
	}
	if g := v.Grant(); !now.Before(time.Unix(g.EXP, 0)) {
		return record{}, expired("The grant's time window is over.", "Ask again with a new window.")
	}
	next := e.rec
	next.State, next.Admitted = admitted, plain(now)
	next.Grant, next.Approvals = v.GrantBytes(), v.Approvers()
	next.Here = next.stillHere()
	return next, nil
}

// begin starts the session of what is openable, or leaves a live one as it is.
func (e *entry) begin(now time.Time) record {
	next := e.rec
	if next.State == admitted {
		g := e.granted
		next.State, next.Opened = opened, plain(now)
		next.Deadline = session.Deadline(next.Opened, time.Duration(g.MaxS)*time.Second, time.Unix(g.EXP, 0).UTC())
	}
	return next
}

// close ends whatever has not ended; changed is false when it had.
func (e *entry) close(reason session.EndReason, now time.Time) (next record, changed bool) {
	next = e.rec
	if next.State == closed {
		return next, false
	}
	next.State, next.Closed, next.Reason, next.Frozen = closed, plain(now), reason, nil
	return next, true
}

// openable is step 13 of the check order, but for the key: nil when a connection may
// open at now.
func (e *entry) openable(now time.Time) error {
	if e.shut || e.rec.State == closed {
		return e.over()
	}
	if e.rec.State == pending {
		return refused("The hospital has not approved this request yet.", "Wait for the approval.", nil)
	}
	g := e.granted
	end := e.end()
	switch {
	case e.rec.State == opened && e.left(now) <= 0:
		return expired("The session's time is over.", "Ask again.")
	case now.Before(e.rec.Admitted.Add(-maxBackwards)), now.Before(e.rec.Opened.Add(-maxBackwards)):
		return refused("The agent's clock has gone back since the grant was admitted.", "Ask hospital IT to correct the agent's clock.", nil)
	case !now.Before(end):
		return expired("The grant's time window is over.", "Ask again with a new window.")
	case now.Before(time.Unix(g.NBF, 0)):
		return refused(fmt.Sprintf("The grant begins at %s.", time.Unix(g.NBF, 0).UTC().Format(time.RFC3339)), "Connect then.", nil)
	case e.rec.State == admitted && !e.fresh(now):
		return refused("The session begins more than one hour after the request, so its engineer must sign in once more.", "Run sallyport activate, then connect within 15 minutes.", nil)
	}
	return nil
}

// used explains why an entry that is not pending takes no more documents.
func (e *entry) used() error {
	if e.rec.State == closed || e.shut {
		return refused("This request was closed and stays closed.", "Ask again with a new request.", ErrUsed)
	}
	return refused("This request was granted before.", "Use the grant, or ask again with a new request.", ErrUsed)
}

func (e *entry) over() error {
	switch e.rec.Reason {
	case session.RevokedGrant:
		return expired("The request was withdrawn or its grant revoked.", "Ask again.")
	case session.KilledLocal, session.KilledRemote:
		return expired("The session was ended by the hospital or from the broker.", "Ask again.")
	}
	return expired("The session is over.", "Ask again.")
}

// plain is a time as files carry it.
func plain(t time.Time) time.Time { return t.Round(0).UTC() }
