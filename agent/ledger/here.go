package ledger

import (
	"bytes"
	"slices"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// here marks an approval that somebody gave at the agent itself, of which the broker has to
// be told. The approval stands among the others.
type here struct {
	By   session.Identity `json:"by"`
	Told bool             `json:"told,omitempty"`
}

// denial is a no that somebody said at the agent itself.
type denial struct {
	By     session.Person `json:"by"`
	Reason string         `json:"reason"`
	Told   bool           `json:"told,omitempty"`
}

// Answer is what somebody said at the agent and the broker has not heard. Without a Grant it
// is a denial.
type Answer struct {
	Request   session.ID
	Asset     string
	By        session.Person
	At        time.Time
	Reason    string          // of a denial
	Grant     []byte          // that was approved
	Approvals []grant.Receipt // of it, those before this one and this one
	Admitted  bool            // it was the last that was needed
}

// ApproveHere keeps the receipt of an approval that was given at the agent itself. It counts
// like every other, and stands until the broker has been told; see Owed. It never takes the
// place of what somebody else approved.
func (l *Ledger) ApproveHere(rid session.ID, grantDoc []byte, r grant.Receipt) ([]grant.Receipt, error) {
	return l.addApproval(rid, grantDoc, r, true)
}

// stillHere are those who approved here and count: a half whose other half never came does not.
func (r record) stillHere() (all []here) {
	for _, h := range r.Here {
		if slices.ContainsFunc(r.Approvals, func(a grant.Receipt) bool { return a.Person.Identity == h.By }) {
			all = append(all, h)
		}
	}
	return all
}

// approvedHere marks somebody's approval as given here, of which the broker has not heard.
func (r record) approvedHere(who session.Identity) []here {
	others := slices.DeleteFunc(slices.Clone(r.Here), func(h here) bool { return h.By == who })
	return append(others, here{By: who})
}

// sameTerms keeps people from undoing each other's approval unseen: who approves here joins
// what was approved, and nobody replaces what was approved here, while it could be used.
func (e *entry) sameTerms(grantDoc []byte, now time.Time, atAgent bool) error {
	if e.rec.State != pending || len(e.rec.Approvals) == 0 || bytes.Equal(e.rec.Grant, grantDoc) || !atAgent && len(e.rec.Here) == 0 {
		return nil
	}
	if g, err := grant.ParseGrant(e.rec.Grant); err == nil && !now.Before(time.Unix(g.EXP, 0)) {
		return nil
	}
	return refused("Another approver approved other terms.", "Read the request again: it shows the terms that were approved. Approve those, or deny it.", nil)
}

// Deny closes a request that waits, for good, because somebody said no at the agent itself.
func (l *Ledger) Deny(rid session.ID, by session.Person, reason string, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, err := l.find(rid)
	if err != nil {
		return err
	}
	if e.shut || e.rec.State != pending {
		return e.used()
	}
	e.shut, e.told = true, session.RevokedGrant // whatever narrows counts at once
	next, _ := e.close(e.told, now)
	next.Denied = &denial{By: by, Reason: reason}
	if err := l.write(e, next); err != nil {
		return err
	}
	e.slim()
	return nil
}

// Owed are the answers of which the broker has to be told, of each request in the order in
// which they were given.
func (l *Ledger) Owed() ([]Answer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []Answer
	for _, e := range l.entries {
		if !e.rec.owes() {
			continue
		}
		rec, err := l.full(e)
		if err != nil {
			return all, err
		}
		all = append(all, rec.answers(e)...)
	}
	return all, nil
}

func (r record) owes() bool {
	return r.Denied != nil && !r.Denied.Told || slices.ContainsFunc(r.Here, func(h here) bool { return !h.Told })
}

func (r record) answers(e *entry) (all []Answer) {
	if d := r.Denied; d != nil && !d.Told {
		return []Answer{{Request: e.rid, Asset: e.request.Asset, By: d.By, At: r.Closed, Reason: d.Reason}}
	}
	for i, a := range r.Approvals {
		if slices.Contains(r.Here, here{By: a.Person.Identity}) {
			all = append(all, Answer{Request: e.rid, Asset: e.request.Asset, By: a.Person, At: a.Received, Grant: r.Grant,
				Approvals: slices.Clone(r.Approvals[:i+1]), Admitted: !r.Admitted.IsZero() && i == len(r.Approvals)-1})
		}
	}
	return all
}

// Told writes down that the broker has heard an answer.
func (l *Ledger) Told(a Answer) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, err := l.find(a.Request)
	if err != nil {
		return err
	}
	next, err := l.full(e)
	if err != nil {
		return err
	}
	if next.Denied != nil {
		d := *next.Denied
		d.Told = true
		next.Denied = &d
	}
	next.Here = slices.Clone(next.Here)
	for i, h := range next.Here {
		next.Here[i].Told = h.Told || h.By == a.By.Identity
	}
	if err := l.write(e, next); err != nil {
		return err
	}
	if e.rec.State == closed {
		e.slim()
	}
	return nil
}

func (r record) checkHere() error {
	for _, h := range r.Here {
		if !slices.ContainsFunc(r.Approvals, func(a grant.Receipt) bool { return a.Person.Identity == h.By }) {
			return errRecord("approved here by nobody")
		}
	}
	if d := r.Denied; d != nil && (r.State != closed || !r.Admitted.IsZero() || d.By.Sub == "" || d.Reason == "") {
		return errRecord("denied by nobody, without a reason or not at all")
	}
	return nil
}
