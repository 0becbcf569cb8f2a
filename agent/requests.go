package agent

import (
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/agent/console/page"
	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/wording"
)

// requested are the requests that wait here for the hospital's approval, the oldest first:
// all that an approval could open. What is shown of each was signed by its engineer.
func requested(entries []ledger.Entry, assets []Asset, needed func(asset string) int) (all []page.Request) {
	for _, e := range slices.Backward(entries) {
		i := slices.IndexFunc(assets, func(x Asset) bool { return x.Name == e.Asset })
		if e.Status == session.Pending && i >= 0 {
			r := requestOf(e, assets[i].Policy.zone(), needed(e.Asset))
			r.Here = len(assets[i].Policy.Accept.Approver) == 0 || slices.Contains(assets[i].Policy.Accept.Approver, session.Console)
			all = append(all, r)
		}
	}
	return all
}

func requestOf(e ledger.Entry, zone *time.Location, needed int) page.Request {
	var by []string
	for _, p := range e.Approvers {
		by = append(by, shownName(p))
	}
	r := page.Request{
		ID: e.Request.Request(), Asset: e.Asset, Who: shownName(e.Engineer), Company: company(e.Engineer), Longer: e.Kind == grant.KindExtension,
		Reason: wording.Clean(e.Why.Reason), WorkOrder: wording.Clean(e.Why.WorkOrder),
		Work:     wording.Sentence(wording.Clean(e.Engineer.Shown()) + " may " + wording.Work(targetsOf(e), e.Why.Class, e.Why.Channels)),
		Signed:   fmt.Sprintf("Signed in at %s, %s, %s.", wording.Clean(e.Engineer.Iss), e.Received.In(zone).Format("15:04"), wording.Signed(e.Why.Client)),
		Approved: fmt.Sprintf("Approved by nobody yet; %d needed.", needed),
	}
	if !r.Longer {
		r.Work += " They may " + wording.Carries(e.Why.Channels) + "."
	}
	for _, words := range criticalOf(e) {
		r.Work += " They " + words + "."
	}
	r.When = whenOf(e, zone)
	if len(by) > 0 {
		r.Approved = fmt.Sprintf("Approved by %s; %d needed.", wording.List(by), needed)
	}
	return r
}

// criticalOf is what was signed of critical sections, in words after "they".
func criticalOf(e ledger.Entry) []string {
	if e.Why.Critical == 0 {
		return nil
	}
	return wording.Critical(lasting(e.Why.Critical))
}

// lasting is a time that was signed, in whole minutes where it is that.
func lasting(d time.Duration) string {
	if d%time.Minute == 0 {
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

// whenOf is how long a session may be, and in which window it may be.
func whenOf(e ledger.Entry, zone *time.Location) string {
	from, to := e.Why.Begins.In(zone), e.Facts.NotAfter.In(zone)
	if e.Kind == grant.KindExtension {
		return "The session would go on until " + to.Format("2 Jan 15:04") + " at the latest."
	}
	return fmt.Sprintf("For %s at the most, between %s and %s.", lasting(e.Why.Longest), from.Format("2 Jan 15:04"), to.Format("2 Jan 15:04"))
}
