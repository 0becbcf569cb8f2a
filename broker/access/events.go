package access

import (
	"context"
	"strings"
	"time"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// enter writes events into the audit log, in order, where there is one. Package
// audit's documentation says in which order event and effect stand.
func (a *Access) enter(ctx context.Context, events ...witness.Event) error {
	if a.audit == nil {
		return nil
	}
	for _, e := range events {
		if err := a.audit.Append(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// owe is enter for what narrows: kill, freeze, revoke and deny wait for no log.
func (a *Access) owe(ctx context.Context, e witness.Event) {
	if a.audit != nil {
		a.audit.Owe(ctx, e)
	}
}

// event is something about a request. nobody did it when by is zero: an agent told it.
func (r record) event(what string, by session.Person, details map[string]string) witness.Event {
	engineer := r.Engineer.Identity
	e := witness.Event{Event: what, Site: r.doc.Site, Of: &engineer, Request: r.id.Request(), Details: map[string]string{"asset": r.target()}}
	if by.Sub != "" {
		who := by.Identity
		e.Who = &who
	}
	for k, v := range details {
		e.Details[k] = v
	}
	if id := r.sessionID(); !id.IsZero() && !r.Answer.Granted.IsZero() {
		e.Session = id.Session()
	}
	return e
}

// reported are the events that a report is news of.
func (r record) reported(rep link.SessionReport) []witness.Event {
	var news []witness.Event
	if rep.Seq <= r.Session.Seq {
		return nil
	}
	add := func(what string, details map[string]string) {
		e := r.event(what, session.Person{}, details)
		e.Session = rep.Session
		news = append(news, e)
	}
	if r.Answer.Granted.IsZero() && r.Answer.Denied.IsZero() && r.Answer.Withdrawn.IsZero() {
		add(witness.Granted, map[string]string{"told-by": "the agent's report"})
	}
	told, toldConsent := r.Session.Told, r.Session.ToldConsent
	bounded := func(told *int, most int, what string, details map[string]string) { // an agent could tell it without end
		if *told++; *told == most {
			details["more"] = "is not written down of this session"
		}
		if *told <= most {
			add(what, details)
		}
	}
	for _, details := range consentNews(r.Session.Consent, rep.Consent) {
		bounded(&toldConsent, maxToldConsent, witness.ConsentAsked, details)
	}
	if r.Session.Opened.IsZero() && !rep.Opened.IsZero() {
		add(witness.SessionOpened, map[string]string{"service": rep.Service,
			"opened": rep.Opened.UTC().Format(time.RFC3339), "deadline": rep.Deadline.UTC().Format(time.RFC3339)})
	}
	often := func(what string, details map[string]string) { bounded(&told, maxTold, what, details) }
	for _, c := range r.Session.newCertificates(rep) {
		often(witness.CertificateShown, map[string]string{"service": c.Service, "sha256": c.SHA256, "known": string(c.Known), "old-tls": c.Old})
	}
	if what, details := criticalNews(r.Session.Critical, rep.Critical); what != "" {
		details["what"] = what
		often(witness.CriticalSection, details)
	}
	if r.Session.Ended.IsZero() && !rep.Ended.IsZero() || !rep.Ended.IsZero() && rep.Reason != r.Session.Reason {
		add(witness.SessionEnded, map[string]string{"reason": string(rep.Reason), "ended": rep.Ended.UTC().Format(time.RFC3339)})
	}
	return news
}

// criticalNews says what a report tells of a critical section that was not known: that one
// began, rang, or is over.
func criticalNews(was *Critical, now *link.Critical) (what string, details map[string]string) {
	switch {
	case now == nil && was == nil:
		return "", nil
	case now == nil:
		return "over", map[string]string{"began": was.Began.Format(time.RFC3339)}
	case was == nil || !was.Began.Equal(now.Began):
		what = "began"
	case now.Alarm && !was.Alarm:
		what = "alarm"
	case was.Alarm && !now.Alarm:
		what = "alarm-over"
	default:
		return "", nil
	}
	return what, map[string]string{"began": now.Began.UTC().Format(time.RFC3339), "until": now.Until.UTC().Format(time.RFC3339), "why": now.Why}
}

// announced is the event of a catalogue that is not what the agent said before.
func announced(h link.Hello, known bool) witness.Event {
	now, what := announcerOf(h), "changed"
	if !known {
		what = "first"
	}
	var all []string
	for _, name := range now.Assets {
		all = append(all, session.Target{Site: h.Site, Asset: name}.String())
	}
	return witness.Event{Event: witness.CatalogueChanged, Site: h.Site, Details: map[string]string{
		"agent": h.Agent, "what": what, "assets": strings.Join(all, " "),
		"identity": h.Identity, "version": h.Version, "catalogue": now.Said,
	}}
}
