package access

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// What people outside are told of. Each is stored before it is told.
const (
	NoticeAsked    = "asked"    // to approvers; an extension where Request.Extends is set
	NoticeApproved = "approved" // to the engineer, as the others
	NoticeDenied   = "denied"
	NoticeProposed = "proposed"
	NoticeRevoked  = "revoked"
	NoticeAlarm    = "alarm" // to approvers: of a critical section
)

// Notice is something that somebody should hear of.
type Notice struct {
	What    string
	ID      session.ID // of the request
	Request Request
	By      session.Person // who decided; zero for a request
	Now     time.Time      // in the site's zone
	Section *Critical      // whose alarm rings
}

// Notifier tells people. It may be told twice of the same thing, and cannot fail.
type Notifier interface {
	Notify(ctx context.Context, n Notice)
	// Missed are those who were not told of something about a request.
	Missed(ctx context.Context, request session.ID) ([]Unwritten, error)
}

// Unwritten is somebody who got no mail about a request, and why.
type Unwritten struct {
	To  string    `json:"to"`  // empty: there is no address, or it is not the reader's to know
	Who string    `json:"who"` // approvers or engineer
	Why string    `json:"why"`
	At  time.Time `json:"at"`
}

// unwritten is what a caller may know of who was not written to: the vendor's people do
// not learn the hospital's addresses. It is worth no error.
func (a *Access) unwritten(ctx context.Context, c Caller, r record) []Unwritten {
	if a.notifier == nil {
		return nil
	}
	all, err := a.notifier.Missed(ctx, r.id)
	if err != nil {
		a.log.Warn("it is not known who was not written to", "request", r.id.Request(), "err", err)
	}
	for i, x := range all {
		all[i].Why = wording.Line(x.Why, maxText)
		if x.Who == ToApprovers && !c.Is(session.Approver) && !c.Is(session.Auditor) {
			all[i].To = ""
		}
	}
	return all
}

// Whom a notice is for.
const (
	ToApprovers = "approvers"
	ToEngineer  = "engineer"
)

// notify tells of a fact that is stored. It never fails its caller, and goes on when
// the caller hangs up.
func (a *Access) notify(ctx context.Context, what string, r record, by session.Person) {
	if a.notifier == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noticeTime)
	defer cancel()
	n := Notice{What: what, ID: r.id, Request: r.view(a.now()), By: by, Now: a.at(ctx, r.doc)}
	if what == NoticeAlarm {
		n.Section = r.Session.Critical
	}
	a.notifier.Notify(ctx, n)
}
