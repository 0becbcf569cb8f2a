package ledger

import (
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/wording"
)

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
	if c != nil && (r.Opened.IsZero() || c.IsZero() || !c.How.Known() || len(c.By) > maxConsenter || wording.Clean(c.By) != c.By) {
		return errRecord("a consent that nobody gave")
	}
	return nil
}
