package access

import (
	"fmt"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/wording"
)

// What the operator at a scanner is asked before a session opens is between them and the
// agent. The broker shows who waits and what came of it, and has no say in it.

// awaits reports whether the operator is being asked.
func (r record) awaits(now time.Time) bool {
	return !r.Answer.Granted.IsZero() && r.status(now) == session.Approved && r.sessionFacts().State(now) == session.AwaitingConsent
}

// next is what an agent reports, in words that are fit to be shown. What came of an
// asking stays.
func (was *Consent) next(x link.Consent) *Consent {
	c := &Consent{Kind: x.Kind, Service: x.Service, Since: x.Since.UTC(), Until: x.Until.UTC(), Wrong: x.Wrong, Outcome: x.Outcome,
		By: wording.Line(x.Answer.By, maxText), How: x.Answer.How, At: orNull(x.Answer.At)}
	if was != nil {
		c.Wrong = max(c.Wrong, was.Wrong)
		if was.Since.Equal(c.Since) && was.Outcome != session.Asking {
			c.Outcome, c.By, c.How, c.At = was.Outcome, was.By, was.How, was.At
		}
	}
	return c
}

// consentNews is what a report tells of an asking that was not known, each as the details of
// an event. One report can be the only one of several steps.
func consentNews(was *Consent, told *link.Consent) (news []map[string]string) {
	if told == nil {
		return nil
	}
	now := was.next(*told)
	add := func(what string, details ...string) {
		d := map[string]string{"what": what, "kind": string(now.Kind), "service": now.Service}
		for i := 0; i < len(details); i += 2 {
			d[details[i]] = details[i+1]
		}
		news = append(news, d)
	}
	wrong, known := 0, session.Asking
	if was != nil {
		wrong = was.Wrong
	}
	if was == nil || !was.Since.Equal(now.Since) {
		add("asked", "since", now.Since.Format(time.RFC3339), "until", now.Until.Format(time.RFC3339))
	} else {
		known = was.Outcome
	}
	if now.Wrong > wrong {
		add("wrong-code", "wrong", fmt.Sprint(now.Wrong))
	}
	if now.Outcome != known {
		add(string(now.Outcome), "by", now.By, "how", string(now.How))
	}
	return news
}

// takeConsent keeps what a report tells of an asking; nothing takes nothing back.
func (s *sessionFacts) takeConsent(rep link.SessionReport) {
	if rep.Consent == nil {
		return
	}
	s.ToldConsent = min(s.ToldConsent+len(consentNews(s.Consent, rep.Consent)), maxToldConsent)
	s.Consent = s.Consent.next(*rep.Consent)
}
