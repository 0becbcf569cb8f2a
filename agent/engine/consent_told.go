package engine

import (
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// What the broker is told of an asking: who waits for an operator is seen by the people of
// the hospital while it lasts. The broker answers nothing.

// tellConsent is called with mu of the consents held, which Report may not wait for.
func (e *Engine) tellConsent(t *Ticket, c *consent) {
	c.seq = max(c.seq+1, uint64(max(0, e.cfg.Now().UnixMicro())))
	told := c.told
	e.cfg.Report(link.SessionReport{Session: t.ID.Session(), Request: t.Request, Seq: c.seq, Asset: t.Asset, Service: told.Service, Consent: &told})
}

// consentTold is what the broker was told of the asking that let a session open, and as what.
func (e *Engine) consentTold(id session.ID) (told *link.Consent, seq uint64) {
	e.consents.mu.Lock()
	defer e.consents.mu.Unlock()
	c := e.consents.of[id]
	if c == nil || c.told.Since.IsZero() {
		return nil, 0
	}
	last := c.told
	return &last, c.seq
}

// askedOf keeps what was told, for the reports of the session: one of them can replace a
// report that has not left.
func (s *liveSession) askedOf(told *link.Consent, seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if told != nil {
		s.state.consent, s.state.seq = told, max(s.state.seq, seq)
	}
}
