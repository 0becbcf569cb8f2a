package access

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
)

// Denied is what became of a denial of many requests.
type Denied struct {
	Requests []string `json:"requests"` // that were denied
	Left     int      `json:"left"`     // that wait still: they could not be denied just now
}

// DenyAll says no to every request of one engineer at a site that waits for an answer, or of
// every engineer of their vendor where who has no subject. Each is written down as if it had
// been denied alone. Nothing waits for the agent or for mails: they are told afterwards.
func (a *Access) DenyAll(ctx context.Context, c Caller, site string, who session.Identity, reason string) (Denied, error) {
	switch {
	case !c.Is(session.Approver):
		return Denied{}, refusal(session.Denied, "Ask the hospital's approvers.", "Only the hospital's approvers decide about requests.")
	case !session.ValidName(site) || !c.At(site):
		return Denied{}, unknown("site", site)
	case who.Iss == "" || !sentence(who.Iss, 500) || who.Sub != "" && !sentence(who.Sub, 255):
		return Denied{}, refusal(session.Invalid, "See sallyport request ls.", "That names no engineer and no vendor.")
	}
	if err := explained(reason); err != nil {
		return Denied{}, err
	}
	var waiting []record
	for r, err := range a.all(ctx, vendorAt(who.Iss, site), pendingOf) {
		if err != nil {
			return Denied{}, err
		}
		if (who.Sub == "" || r.Engineer.Sub == who.Sub) && r.Engineer.Identity != c.Who().Identity {
			waiting = append(waiting, r)
		}
	}
	ctx = context.WithoutCancel(ctx) // a caller that hangs up does not keep the door open
	out, denied := Denied{Requests: []string{}}, make([]record, 0, len(waiting))
	for _, r := range waiting {
		r, err := a.conclude(ctx, r.id, c.Who(), witness.Denied, a.denial(c.Who(), reason))
		switch {
		case err == nil:
			denied = append(denied, r)
			out.Requests = append(out.Requests, r.id.Request())
		case session.KindOf(err) == session.Unreachable || session.KindOf(err) == session.Internal:
			out.Left++
			a.log.Warn("a request could not be denied with others", "err", err)
		}
	}
	a.log.Info("denied together", "site", site, "issuer", who.Iss, "engineer", who.Sub, "requests", len(denied), "user", c.Who().Sub)
	a.tellDenied(ctx, c, denied)
	return out, nil
}

// tellDenied tells agents and engineers of requests that were denied together. The caller
// waits for no more than a moment of it.
func (a *Access) tellDenied(ctx context.Context, c Caller, denied []record) {
	told := make(chan struct{})
	go func() {
		defer close(told)
		for _, r := range denied {
			a.settle(ctx, r)
		}
		for _, r := range denied {
			a.notify(ctx, NoticeDenied, r, c.Who())
		}
	}()
	wait := time.NewTimer(noticeTime)
	defer wait.Stop()
	select {
	case <-told:
	case <-wait.C:
	}
}
