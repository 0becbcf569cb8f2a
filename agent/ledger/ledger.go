// Package ledger is the agent's memory of what was asked, allowed, opened and
// closed. Every step is on disk (fsync) before it counts; what was closed stays
// closed. It knows documents and receipts, and nothing of networks or devices.
package ledger

import (
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// Ledger is one agent's ledger directory. Safe for concurrent use.
type Ledger struct{}

// Ticket is the right to open connections under an admitted grant. Only a Ledger
// makes one; the zero value is refused by everything that takes a Ticket.
type Ticket struct {
	grant grant.Verified
}

// Valid reports whether a Ledger made t.
func (t Ticket) Valid() bool { return t.grant.Valid() }

// Grant is what the ticket stands on.
func (t Ticket) Grant() grant.Verified { return t.grant }

// ID is the grant's id and the session's.
func (t Ticket) ID() session.ID {
	id, _ := session.ParseText(t.grant.Grant().GID)
	return id
}

// Covers reports whether the ticket opens a service of an asset.
func (t Ticket) Covers(asset, service string) bool { return false }

// Allows reports whether the ticket lets bytes pass in a channel.
func (t Ticket) Allows(c session.Channel) bool { return false }

// ByKey finds the admitted ticket that a public key line (authorized_keys form,
// no comment) may open at now. Errors are *session.Error: Denied for an unknown
// key, Expired for a grant whose time is over or closed, Refused when it is early
// or wants an activation.
func (l *Ledger) ByKey(line string, now time.Time) (Ticket, error) {
	return Ticket{}, session.Errorf(session.Internal, "not built")
}

// Begin starts the session of a ticket, or joins it when it is live: the start is
// on disk before Begin returns. It refuses zero tickets and closed, early or late grants.
func (l *Ledger) Begin(t Ticket, now time.Time) (session.SessionFacts, error) {
	return session.SessionFacts{}, session.Errorf(session.Internal, "not built")
}

// End closes a session or an unopened grant for good. Ending twice keeps the first reason.
func (l *Ledger) End(id session.ID, reason session.EndReason, now time.Time) error {
	return session.Errorf(session.Internal, "not built")
}

// Facts is what happened to a grant's session.
func (l *Ledger) Facts(id session.ID) (session.SessionFacts, bool) {
	return session.SessionFacts{}, false
}
