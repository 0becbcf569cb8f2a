package ledger

import (
	"bytes"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// extension is a grant that moved the deadline of this one's session. Its documents
// stand in the entry of its own request.
type extension struct {
	GID  string    `json:"gid"`
	EXP  int64     `json:"exp"`
	MaxS int64     `json:"maxs"`
	At   time.Time `json:"at"`
}

func (x extension) deadline(opened time.Time) time.Time {
	return session.Deadline(opened, time.Duration(x.MaxS)*time.Second, time.Unix(x.EXP, 0).UTC())
}

// extend admits an extension. The live session that it names gets its new deadline
// first; then the extension is closed as used. A crash in between leaves it pending,
// and the same approval, delivered again, finishes it without moving anything twice.
func (l *Ledger) extend(e *entry, v grant.Verified, now time.Time) (Ticket, error) {
	next, err := e.admit(v, now)
	if err != nil {
		return Ticket{}, err
	}
	if err := l.gidFree(next.Grant, e.rid); err != nil {
		return Ticket{}, err
	}
	parent, err := l.parentOf(v.Request())
	if err != nil {
		return Ticket{}, err
	}
	moved, err := parent.prolonged(v, now)
	if err != nil {
		return Ticket{}, err
	}
	if !moved.Deadline.Equal(parent.rec.Deadline) {
		if err := l.write(parent, moved); err != nil {
			return Ticket{}, err
		}
	}
	next.State, next.Closed, next.Reason = closed, plain(now), session.Completed
	if err := l.write(e, next); err != nil {
		return Ticket{}, err
	}
	l.index(e)
	e.slim()
	return parent.ticket, nil
}

// Extendable returns the grant whose live session an extension would prolong.
func (l *Ledger) Extendable(r grant.Request, now time.Time) (grant.Verified, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	parent, err := l.parentOf(r)
	if err != nil {
		return grant.Verified{}, err
	}
	if err := parent.live(now); err != nil {
		return grant.Verified{}, err
	}
	return parent.ticket.grant, parent.ticket.grant.Extends(r)
}

// Extended reports whether this very grant prolonged a session before, and by which
// approvals, for answering a delivery that is repeated.
func (l *Ledger) Extended(grantDoc []byte) ([]grant.Receipt, bool) {
	g, err := grant.ParseGrant(grantDoc)
	if err != nil {
		return nil, false
	}
	gid, err := session.ParseText(g.GID)
	if err != nil {
		return nil, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.entries[l.grants[gid]]
	if !ok || e.request.Kind != grant.KindExtension || e.rec.State != closed || e.rec.Reason != session.Completed {
		return nil, false
	}
	rec, err := l.full(e)
	if err != nil || !bytes.Equal(rec.Grant, grantDoc) {
		return nil, false
	}
	return rec.Approvals, true
}

func (l *Ledger) parentOf(r grant.Request) (*entry, error) {
	gid, err := session.ParseText(r.Parent)
	if err != nil {
		return nil, err
	}
	if _, ok := l.grants[gid]; !ok {
		return nil, refused("This agent knows no session that could be extended.", "Name the live session.", nil)
	}
	return l.findGrant(gid)
}

// live is nil while the entry's session is open at now.
func (e *entry) live(now time.Time) error {
	switch {
	case e.shut || e.rec.State == closed:
		return e.over()
	case e.rec.State != opened:
		return refused("The session has not begun, so it cannot be extended.", "Open it first, or ask for a longer one.", nil)
	case e.left(now) <= 0:
		return expired("The session's time is over.", "Ask again.")
	}
	return nil
}

// prolonged is the entry's record with an extension. One that is there already
// changes nothing.
func (e *entry) prolonged(v grant.Verified, now time.Time) (record, error) {
	g := v.Grant()
	for _, x := range e.rec.Extensions {
		if x.GID == g.GID {
			return e.rec, nil
		}
	}
	if err := e.live(now); err != nil {
		return record{}, err
	}
	if err := e.ticket.grant.Extends(v.Request()); err != nil {
		return record{}, err
	}
	x := extension{GID: g.GID, EXP: g.EXP, MaxS: g.MaxS, At: plain(now)}
	if !x.deadline(e.rec.Opened).After(e.rec.Deadline) {
		return record{}, refused("The extension would not make the session longer.", "Ask for a later end.", nil)
	}
	if len(e.rec.Extensions) >= maxExtensions {
		return record{}, refused("This session was extended too often.", "Ask for a new session.", nil)
	}
	next := e.rec
	next.Extensions = append(append([]extension(nil), next.Extensions...), x)
	next.Deadline = x.deadline(next.Opened)
	return next, nil
}

// end is when the last connection may open: the window's end, or an open session's
// own.
func (e *entry) end() time.Time {
	if !e.rec.Deadline.IsZero() {
		return e.rec.Deadline
	}
	return time.Unix(e.granted.EXP, 0)
}

// longest is how long the session may be in all.
func (e *entry) longest() time.Duration {
	s := e.granted.MaxS
	for _, x := range e.rec.Extensions {
		s = max(s, x.MaxS)
	}
	return time.Duration(s) * time.Second
}

// checkDeadline refuses a deadline that neither the grant nor an extension gives.
func (e *entry) checkDeadline() error {
	if e.rec.Opened.IsZero() {
		if len(e.rec.Extensions) > 0 {
			return errRecord("extended before it began")
		}
		return nil
	}
	own := extension{EXP: e.granted.EXP, MaxS: e.granted.MaxS}
	want := own.deadline(e.rec.Opened)
	for _, x := range e.rec.Extensions {
		if d := x.deadline(e.rec.Opened); d.After(want) {
			want = d
		}
	}
	if !want.Equal(e.rec.Deadline) {
		return errRecord("a deadline that no grant gives")
	}
	return nil
}
