package engine

import (
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// What the broker is told of an asking: who waits for an operator is seen by the people of
// the hospital while it lasts. The broker answers nothing.

// Tries keep what was had of an operator for a grant, so that a restart gives none anew.
type Tries interface {
	Tries(id session.ID) session.Tries
	// KeepTries returns when it is on disk.
	KeepTries(id session.ID, had session.Tries) error
}

// forgetful is no memory.
type forgetful struct{}

func (forgetful) Tries(session.ID) session.Tries            { return session.Tries{} }
func (forgetful) KeepTries(session.ID, session.Tries) error { return nil }

// untold is an asking, or a wrong code, that could not be written down: it counts for nothing.
func untold(err error) error {
	return session.Errorf(session.Unreachable, "The agent cannot write down that the operator was asked: %w", err).
		WithNext("Tell the hospital to look at the disk of its agent.")
}

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
