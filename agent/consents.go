package agent

import (
	"fmt"

	"github.com/sallyport/sallyport/agent/console"
	"github.com/sallyport/sallyport/agent/console/page"
	"github.com/sallyport/sallyport/agent/engine"
	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// operatorAtPage is who answers there: a PIN names nobody.
const operatorAtPage = "the operator at the agent's page"

// Asked are the sessions that wait for the operator's consent, the oldest first.
func (c controls) Asked() []console.Asking {
	out := []console.Asking{}
	entries := c.a.ledger.Entries(c.a.now())
	for _, a := range c.a.engine.Asked() {
		out = append(out, askingOf(a, entryOf(entries, a.ID)))
	}
	return out
}

// Answer is the operator's.
func (c controls) Answer(a console.Answer, how session.Means) (console.Answered, error) {
	id, err := session.ParseSessionID(a.Session)
	if err != nil {
		return console.Answered{}, err
	}
	by := localOperator
	if how == session.ByPage {
		by = operatorAtPage
	}
	return console.Answered(a), c.a.engine.Consent(id, a.Accept, how, by)
}

// waits are the same for the agent's page.
func (a *Agent) waits(entries []ledger.Entry) (all []page.Waiting) {
	for _, asked := range a.engine.Asked() {
		x := askingOf(asked, entryOf(entries, asked.ID))
		all = append(all, page.Waiting{
			Session: x.Session, Asset: x.Asset, Service: x.Service, Who: shownName(x.Engineer), Company: company(x.Engineer),
			Reason: x.Reason, WorkOrder: x.WorkOrder, Work: x.Work, Longest: x.Longest, Code: page.Digits(x.Code), Until: x.Until,
		})
	}
	return all
}

// askingOf is an asking with what its engineer signed.
func askingOf(a engine.Asked, e ledger.Entry) console.Asking {
	out := console.Asking{
		Session: a.ID.Session(), Request: a.Request, Asset: a.Asset, Service: a.Service, Engineer: a.Engineer,
		Kind: a.Kind, Code: a.Code, Since: a.Since.UTC(), Until: a.Until.UTC(),
	}
	if e.Asset != "" {
		out.Reason, out.WorkOrder = wording.Clean(e.Why.Reason), wording.Clean(e.Why.WorkOrder)
		out.Work = wording.Sentence(wording.Clean(a.Engineer.Shown()) + " may " + wording.Work(targetsOf(e), e.Why.Class, e.Why.Channels))
		for _, words := range criticalOf(e) {
			out.Work += " They " + words + "."
		}
		out.Longest = fmt.Sprintf("%d min", int(min(e.Why.Longest, e.Facts.NotAfter.Sub(a.Since)).Minutes()))
	}
	return out
}
