package ledger

import (
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

// Tries are what was had of an operator for a grant; none where it is not known.
func (l *Ledger) Tries(gid session.ID) session.Tries {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.entries[l.grants[gid]]; e != nil {
		return e.rec.Tries
	}
	return session.Tries{}
}

// KeepTries writes down what was had of an operator for a grant that is not opened yet: a
// restart gives no new tries. They only grow.
func (l *Ledger) KeepTries(gid session.ID, had session.Tries) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, err := l.findGrant(gid)
	switch {
	case err != nil:
		return err
	case e.shut || e.rec.State == closed:
		return e.over()
	case had.Asked > maxTries || had.Wrong > maxTries:
		return refused("The operator was asked too often.", "Call the hospital, and request access again.", nil)
	}
	next := e.rec
	next.Tries = session.Tries{Asked: max(had.Asked, e.rec.Tries.Asked), Wrong: max(had.Wrong, e.rec.Tries.Wrong)}
	if next.Tries == e.rec.Tries {
		return nil
	}
	return l.write(e, next)
}

// consent writes down with what consent a session begins.
func (r *record) consent(c session.Consented) {
	if !c.IsZero() {
		c.At = plain(c.At)
		r.Consent = &c
	}
}

func (r record) consented() session.Consented {
	if r.Consent == nil {
		return session.Consented{}
	}
	return *r.Consent
}

// checkConsent refuses a consent that Begin would not have written.
func (r record) checkConsent() error {
	c := r.Consent
	if t := r.Tries; t.Asked < 0 || t.Wrong < 0 || t.Asked > maxTries || t.Wrong > maxTries || t != (session.Tries{}) && r.Admitted.IsZero() {
		return errRecord("an operator who was asked more often than any is")
	}
	if c != nil && (r.Opened.IsZero() || c.IsZero() || !c.How.Known() || len(c.By) > maxConsenter || wording.Clean(c.By) != c.By) {
		return errRecord("a consent that nobody gave")
	}
	return nil
}
