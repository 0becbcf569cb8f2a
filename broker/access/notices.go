package access

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/session"
)

// What people outside are told of. Each is stored before it is told.
const (
	NoticeAsked    = "asked"    // to approvers; an extension where Request.Extends is set
	NoticeApproved = "approved" // to the engineer, as the others
	NoticeDenied   = "denied"
	NoticeProposed = "proposed"
	NoticeRevoked  = "revoked"
)

// Notice is something that somebody should hear of.
type Notice struct {
	What    string
	ID      session.ID // of the request
	Request Request
	By      session.Person // who decided; zero for a request
	Now     time.Time      // in the site's zone
}

// Notifier tells people. It may be told twice of the same thing, and cannot fail.
type Notifier interface {
	Notify(ctx context.Context, n Notice)
}

// notify tells of a fact that is stored. It never fails its caller, and goes on when
// the caller hangs up.
func (a *Access) notify(ctx context.Context, what string, r record, by session.Person) {
	if a.notifier == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noticeTime)
	defer cancel()
	a.notifier.Notify(ctx, Notice{What: what, ID: r.id, Request: r.view(a.now()), By: by, Now: a.at(ctx, r.doc)})
}
