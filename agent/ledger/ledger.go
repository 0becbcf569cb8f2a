// Package ledger is the agent's memory of what was asked, allowed, opened and
// closed. Every step is on disk (fsync) before it counts; what was closed stays
// closed. It knows documents and receipts, and nothing of networks or devices.
//
// A ledger is a directory of one JSON file per request, named by its id, the scopes
// that are frozen, the highest time that was seen, a lock that keeps a second agent out, and a reserve of room for
// closing on a full disk. Files of requests are replaced, never changed, and deleted only
// when their documents have long been too late for everything: old entries are what stops
// a replay. Restoring an older copy of the directory forgets what happened since.
package ledger

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/durable"
	"github.com/sallyport/sallyport/session/grant"
)

// ErrUsed is in the chain of errors about a request or grant that was admitted or
// closed before, so that a repeated delivery can be told from a first one.
var ErrUsed = errors.New("used before")

// Ledger is one agent's ledger directory. Safe for concurrent use.
type Ledger struct {
	disk    disk
	reserve *durable.Reserve // guarded by mu
	unlock  func() error

	mu      sync.Mutex
	entries map[session.ID]*entry     // by rid
	grants  map[session.ID]session.ID // gid to rid, of everything admitted
	keys    map[string][]session.ID   // key line to rids
	limits  Limits                    // see LimitSessions
	bars    bars
	clock   clock
}

// Open reads a ledger directory, makes it when there is none, and holds it alone
// until Close. A file that cannot be read as an entry is an error that names it: an
// agent that forgot what was closed must not start.
func Open(dir string) (*Ledger, error) {
	d, unlock, err := openDirectory(dir)
	if err != nil {
		return nil, err
	}
	l, err := load(d)
	if err != nil {
		return nil, errors.Join(err, unlock())
	}
	l.unlock, l.reserve = unlock, durable.NewReserve(filepath.Join(dir, reserveName), reserveSize)
	return l, nil
}

// Close lets the directory go. Everything is on disk already but how late it is.
func (l *Ledger) Close() error { return errors.Join(l.KeepTime(), l.unlock()) }

// Pend remembers a request that grant.Verifier.CheckRequest passed, with the receipt
// that it gave. The same delivery twice is remembered once; another token for the
// same request, or a request that was admitted or closed, is refused.
func (l *Ledger) Pend(req []byte, r grant.Receipt) error {
	fresh, err := newEntry(req, r)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if old, ok := l.entries[fresh.rid]; ok {
		if err := l.settle(old); err != nil {
			return err
		}
		return old.sameDelivery(fresh)
	}
	if err := l.room(fresh, r.Received); err != nil {
		return err
	}
	if err := l.ownKey(fresh.request.Key, fresh.request.Eng); err != nil {
		return err
	}
	if err := l.write(fresh, fresh.rec); err != nil {
		if fresh.unsure { // it may be on disk: keep the memory of it
			l.index(fresh)
		}
		return err
	}
	l.index(fresh)
	return nil
}

// Pending is a request with the proofs that came in for it so far.
type Pending struct {
	Request   []byte
	Engineer  grant.Receipt
	Grant     []byte // the grant document that is being approved; nil if there is none
	Approvals []grant.Receipt
}

// PendingRequest returns what is known of a request that was not admitted or closed.
func (l *Ledger) PendingRequest(rid session.ID) (Pending, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, err := l.find(rid)
	if err != nil {
		return Pending{}, err
	}
	if e.shut || e.rec.State != pending {
		return Pending{}, e.used()
	}
	return e.rec.pendingView(), nil
}

// AddApproval keeps the receipt that grant.Verifier.CheckApproval gave, and returns
// all receipts for this grant document, in the order in which they came. A person
// counts once. Another grant document for the same request takes the place of the
// earlier one and starts the count anew, unless that was given here.
func (l *Ledger) AddApproval(rid session.ID, grantDoc []byte, r grant.Receipt) ([]grant.Receipt, error) {
	return l.addApproval(rid, grantDoc, r, false)
}

func (l *Ledger) addApproval(rid session.ID, grantDoc []byte, r grant.Receipt, atAgent bool) ([]grant.Receipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, err := l.find(rid)
	if err != nil {
		return nil, err
	}
	if err := e.sameTerms(grantDoc, r.Received, atAgent); err != nil {
		return nil, err
	}
	next, changed, err := e.approve(grantDoc, r)
	if err != nil {
		return nil, err
	}
	if changed && atAgent {
		next.Here = next.approvedHere(r.Person.Identity)
	}
	if changed {
		if err := l.gidFree(next.Grant, rid); err != nil {
			return nil, err
		}
		if err := l.write(e, next); err != nil {
			return nil, err
		}
	}
	return next.pendingView().Approvals, nil
}

// Admit turns a verified grant into the right to open it. Each request and each
// grant is admitted once, ever; a second time is Refused and wraps ErrUsed. An
// extension gives no right of its own: it moves the deadline of its live session,
// whose ticket is returned.
func (l *Ledger) Admit(v grant.Verified, now time.Time) (Ticket, error) {
	if !v.Valid() {
		return Ticket{}, denied("Only a verified grant can be admitted.", "Tell whoever runs this Sallyport.")
	}
	rid, err := session.ParseText(v.Request().RID)
	if err != nil {
		return Ticket{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e, err := l.find(rid)
	if err != nil {
		return Ticket{}, err
	}
	if v.Request().Kind == grant.KindExtension {
		return l.extend(e, v, now)
	}
	next, err := e.admit(v, now)
	if err == nil {
		err = l.plausible()
	}
	if err == nil {
		err = l.keepTime()
	}
	if err != nil {
		return Ticket{}, err
	}
	if err := l.gidFree(next.Grant, rid); err != nil {
		return Ticket{}, err
	}
	if err := l.write(e, next); err != nil {
		return Ticket{}, err
	}
	l.index(e)
	return e.ticket, nil
}

// Begin starts the session of a ticket, or joins it when it is live: the start is
// on disk before Begin returns. It refuses zero tickets and closed, early or late grants.
// Where now carries a monotonic reading, so does the Deadline of the answer.
func (l *Ledger) Begin(t Ticket, now time.Time) (session.SessionFacts, error) {
	if !t.Valid() {
		return session.SessionFacts{}, denied("No session opens without a grant.", "Ask for access first.")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e, err := l.findGrant(t.ID())
	if err != nil {
		return session.SessionFacts{}, err
	}
	if err := l.openable(e, now); err != nil {
		return session.SessionFacts{}, err
	}
	next := e.begin(now)
	if !bytes.Equal(e.rec.Grant, t.Grant().GrantBytes()) {
		return session.SessionFacts{}, denied("This grant is not the one that was admitted.", "Ask for access first.")
	}
	if e.rec.State != opened {
		next.consent(t.consent)
		if err := l.fits(e, now); err != nil {
			return session.SessionFacts{}, err
		}
		if err := l.keepTime(); err != nil {
			return session.SessionFacts{}, err
		}
		if err := l.write(e, next); err != nil {
			return session.SessionFacts{}, err
		}
	}
	e.bind(now)
	return e.facts(), nil
}

// End closes a session or an unopened grant for good. Ending twice keeps the first reason.
// Even when the closing cannot be written, nothing opens any more in this process.
func (l *Ledger) End(id session.ID, reason session.EndReason, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	rid, ok := l.grants[id]
	if !ok {
		return unknown("session")
	}
	return l.close(l.entries[rid], reason, now)
}

// Withdraw forgets a request that waits, or revokes a grant that nobody opened. The
// request's id stays used. An opened session needs End; a closed one stays as it is.
func (l *Ledger) Withdraw(rid session.ID, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.entries[rid]
	if !ok {
		return unknown("request")
	}
	if e.rec.State == opened {
		return refused("The session of this request has begun.", "End the session instead.", nil)
	}
	return l.close(e, session.RevokedGrant, now)
}

func (l *Ledger) close(e *entry, reason session.EndReason, now time.Time) error {
	e.shut = true // whatever narrows counts at once
	e.told = cmp.Or(e.told, reason)
	if err := l.settle(e); err != nil {
		return err
	}
	next, changed := e.close(e.told, now)
	if !changed {
		return nil
	}
	if err := l.write(e, next); err != nil {
		return fmt.Errorf("close %s: %w", e.rid.Request(), err)
	}
	e.slim()
	return nil
}

// Report draws the next sequence number for telling the broker about a session.
// It is on disk before it is used, so a later report always has a higher one.
func (l *Ledger) Report(id session.ID) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	rid, ok := l.grants[id]
	if !ok {
		return 0, unknown("session")
	}
	e := l.entries[rid]
	if err := l.settle(e); err != nil {
		return 0, err
	}
	next, err := l.full(e)
	if err != nil {
		return 0, err
	}
	next.Seq++
	if err := l.write(e, next); err != nil {
		return 0, err
	}
	if e.rec.State == closed {
		e.slim()
	}
	return next.Seq, nil
}

// gidFree refuses a grant id that another request's grant has, or had.
func (l *Ledger) gidFree(grantDoc []byte, rid session.ID) error {
	g, err := grant.ParseGrant(grantDoc)
	if err != nil {
		return err
	}
	gid, err := session.ParseText(g.GID)
	if err != nil {
		return err
	}
	if owner, taken := l.grants[gid]; taken && owner != rid {
		return refused("This grant's id was used before.", "Approve again, so that a new grant is made.", ErrUsed)
	}
	return nil
}

// index makes an entry findable by what it holds now.
func (l *Ledger) index(e *entry) {
	if _, known := l.entries[e.rid]; !known {
		l.entries[e.rid] = e
	}
	for _, key := range e.keys() {
		if !slices.Contains(l.keys[key], e.rid) {
			l.keys[key] = append(l.keys[key], e.rid)
		}
	}
	if e.admitted() {
		l.grants[e.gid] = e.rid
	}
}

// find returns an entry that may be changed: what is on disk and in memory agree.
func (l *Ledger) find(rid session.ID) (*entry, error) {
	e, ok := l.entries[rid]
	if !ok {
		return nil, unknown("request")
	}
	return e, l.settle(e)
}

func (l *Ledger) findGrant(gid session.ID) (*entry, error) {
	rid, ok := l.grants[gid]
	if !ok {
		return nil, denied("This agent has admitted no such grant.", "Ask for access first.")
	}
	return l.find(rid)
}

func refused(message, next string, err error) error {
	return &session.Error{Kind: session.Refused, Message: message, Next: next, Err: err}
}

func denied(message, next string) error {
	return &session.Error{Kind: session.Denied, Message: message, Next: next}
}

func expired(message, next string) error {
	return &session.Error{Kind: session.Expired, Message: message, Next: next}
}

func unknown(noun string) error {
	return &session.Error{
		Kind:    session.Invalid,
		Message: "This agent knows no such " + noun + ".",
		Next:    "Check the id.",
	}
}

func internal(message string, err error) error {
	return &session.Error{
		Kind:    session.Internal,
		Message: message,
		Next:    "Ask hospital IT to look at the agent's disk and log.",
		Err:     err,
	}
}
