package ledger

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// entry is one request in memory. The proofs of closed ones stay on disk alone.
type entry struct {
	rid, gid session.ID // gid: zero until admitted
	rec      record
	request  grant.Request
	granted  grant.Grant       // zero until admitted
	ticket   Ticket            // zero unless admitted or opened
	until    time.Time         // the deadline with a monotonic reading of this process; zero: none yet
	critical time.Time         // the end of the critical section that is on in this process; zero: none is
	shut     bool              // was to be closed, whether or not that could be written
	told     session.EndReason // it was first to be closed for
	cold     bool              // is frozen, or was to be, whether or not that could be written
	unsure   bool              // a failed write may be on disk or not
	thin     bool              // proofs were dropped from memory
	noticed  time.Time         // since when it could be forgotten, with a monotonic reading; zero: it cannot
}

// newEntry is what Pend writes.
func newEntry(req []byte, r grant.Receipt) (*entry, error) {
	doc, err := grant.ParseRequest(req)
	if err != nil {
		return nil, err
	}
	if r.Role != grant.RoleRequest || r.Subject != grant.RequestHash(req) || r.Person.Identity != doc.Eng || r.Received.IsZero() {
		return nil, denied("The engineer's proof does not belong to this request.", "Ask again.")
	}
	r.Received = plain(r.Received)
	return interpret(record{V: 1, State: pending, Request: bytes.Clone(req), Engineer: r})
}

// interpret makes an entry of a record and refuses one that contradicts itself.
func interpret(rec record) (*entry, error) {
	if err := rec.check(); err != nil {
		return nil, err
	}
	doc, err := grant.ParseRequest(rec.Request)
	if err != nil {
		return nil, err
	}
	e := &entry{rec: rec, request: doc, cold: len(rec.Frozen) > 0}
	if e.rid, err = session.ParseText(doc.RID); err != nil {
		return nil, err
	}
	if rec.Engineer.Role != grant.RoleRequest || rec.Engineer.Subject != grant.RequestHash(rec.Request) {
		return nil, errRecord("the engineer's receipt is for something else")
	}
	if rec.Admitted.IsZero() {
		return e, nil
	}
	v, err := grant.Recall(rec.Request, rec.Engineer, rec.Grant, rec.Approvals)
	if err != nil {
		return nil, err
	}
	e.ticket, e.granted = Ticket{grant: v, consent: rec.consented()}, v.Grant()
	e.gid = e.ticket.ID()
	if err := e.checkKeys(); err != nil {
		return nil, err
	}
	if err := e.checkDeadline(); err != nil {
		return nil, err
	}
	return e, e.checkSections()
}

// check refuses combinations that no transition makes.
func (r record) check() error {
	var admit, open, shut bool
	switch r.State {
	case pending:
	case admitted:
		admit = true
	case opened:
		admit, open = true, true
	case closed:
		admit, open, shut = !r.Admitted.IsZero(), !r.Opened.IsZero(), true
	default:
		return errRecord("unknown state")
	}
	switch {
	case r.V != 1:
		return errRecord("unknown version")
	case r.Admitted.IsZero() == admit, r.Opened.IsZero() == open, r.Deadline.IsZero() == open, r.Closed.IsZero() == shut,
		(r.Reason != "") != shut, open && !admit:
		return errRecord("times do not fit the state")
	case r.Engineer.Received.IsZero():
		return errRecord("no time of receipt")
	case (r.Grant == nil) != (len(r.Approvals) == 0):
		return errRecord("grant without approvals, or the other way round")
	case open && (!r.Deadline.After(r.Opened) || r.Opened.Before(r.Admitted.Add(-maxBackwards))):
		return errRecord("deadline before its beginning")
	case !admit && len(r.Activations)+len(r.Extensions) > 0:
		return errRecord("keys or extensions without a grant")
	case !open && len(r.Sections) > 0:
		return errRecord("critical sections without a session")
	}
	return errors.Join(r.checkFrozen(), r.checkConsent(), r.checkHere())
}

func (r record) pendingView() Pending {
	p := Pending{Request: bytes.Clone(r.Request), Engineer: r.Engineer, Grant: bytes.Clone(r.Grant)}
	p.Approvals = append(p.Approvals, r.Approvals...)
	return p
}

// take replaces the entry's record by one that is on disk.
func (e *entry) take(next *entry) {
	if !e.until.IsZero() { // an extension moves both clocks by as much
		e.until = e.until.Add(next.rec.Deadline.Sub(e.rec.Deadline))
	}
	e.rec, e.request, e.granted = next.rec, next.request, next.granted
	e.ticket, e.gid, e.thin = next.ticket, next.gid, false
	e.shut = e.shut || e.rec.State == closed
}

func (e *entry) admitted() bool { return !e.gid.IsZero() }

// slim drops what a closed entry does not need in memory.
func (e *entry) slim() {
	e.rec.Engineer.Proof, e.rec.Engineer.Key = grant.Proof{}, nil
	e.rec.Request, e.rec.Grant = nil, nil
	e.rec.Approvals = slices.Clone(e.rec.Approvals)
	for i := range e.rec.Approvals {
		e.rec.Approvals[i].Proof, e.rec.Approvals[i].Key = grant.Proof{}, nil
	}
	e.rec.Activations = nil
	e.ticket, e.thin = Ticket{}, true
}

// sameDelivery tells a repeated delivery of a pending request from anything else.
func (e *entry) sameDelivery(again *entry) error {
	if e.rec.State != pending || e.shut {
		return e.used()
	}
	if bytes.Equal(e.rec.Request, again.rec.Request) && e.rec.Engineer.Proof.Token == again.rec.Engineer.Proof.Token {
		return nil
	}
	return refused("A request with this id came before.", "Ask again with a new request.", ErrUsed)
}

// bind ties the deadline to the monotonic clock of this process, once.
func (e *entry) bind(now time.Time) {
	if e.until.IsZero() {
		e.until = now.Add(min(e.rec.Deadline.Sub(plain(now)), e.longest()))
	}
}

// left is how long the session may go on: the least of what the wall clock, the
// monotonic clock since Begin and the grant say.
func (e *entry) left(now time.Time) time.Duration {
	d := e.rec.Deadline.Sub(plain(now))
	if !e.until.IsZero() {
		d = min(d, e.until.Sub(now))
	}
	return d
}

// facts is what happened to the session so far.
func (e *entry) facts() session.SessionFacts {
	f := session.SessionFacts{Opened: e.rec.Opened, Deadline: e.rec.Deadline, Ended: e.rec.Closed, Reason: e.rec.Reason, Frozen: len(e.rec.Frozen) > 0}
	if !e.until.IsZero() && e.until.Round(0).Equal(e.rec.Deadline) {
		f.Deadline = e.until
	}
	if e.critical.After(f.Deadline) {
		f.Deadline = e.critical
	}
	return f
}

type errRecord string

func (e errRecord) Error() string { return string(e) }
