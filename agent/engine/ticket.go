package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
)

// Ticket is what sessions need to know of an admitted grant. Only Admitted opens a
// device, and only the ledger prints one.
type Ticket struct {
	ID        session.ID // the grant's and the session's
	Request   string     // R-...
	GrantHash string     // hex
	Asset     string
	Class     session.Class
	Channels  map[session.Channel]bool
	Engineer  session.Person
	Approvers []session.Person
	WorkOrder string
	NotAfter  time.Time
	Admitted  ledger.Ticket
	Consent   session.Consented // of the operator, once the session was opened with it
}

// May reports whether a channel is granted.
func (t *Ticket) May(c session.Channel) bool { return t.Channels[c] }

// ticketOf reads what the ledger printed. The zero ticket is refused.
func ticketOf(t ledger.Ticket) (*Ticket, error) {
	if !t.Valid() {
		return nil, session.Errorf(session.Denied, "There is no admitted grant for this key.").
			WithNext("Request access with sallyport request new.")
	}
	v := t.Grant()
	rid, err := session.ParseText(v.Request().RID)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(append([]byte("sallyport/grant/v1\x00"), v.GrantBytes()...))
	out := &Ticket{
		ID: t.ID(), Request: rid.Request(), GrantHash: hex.EncodeToString(hash[:]), Asset: v.Grant().Asset, Class: v.Grant().Class,
		Channels: map[session.Channel]bool{}, Engineer: v.Engineer().Person, WorkOrder: v.Request().Ref,
		NotAfter: time.Unix(v.Grant().EXP, 0), Admitted: t, Consent: t.Consent(),
	}
	for _, c := range session.Channels() {
		out.Channels[c] = t.Allows(c)
	}
	for _, a := range v.Approvers() {
		out.Approvers = append(out.Approvers, a.Person)
	}
	return out, nil
}

// Tickets are what the engine asks of the agent's memory: who may connect, and what
// became of sessions.
type Tickets interface {
	// Find returns the ticket of a key for a service of an asset.
	Find(key, asset, service string, now time.Time) (*Ticket, error)
	// Begin writes down that a session begins, and says when it must end.
	Begin(t *Ticket, now time.Time) (session.SessionFacts, error)
	// End writes down that a session is over. It may be told twice.
	End(id session.ID, reason session.EndReason, now time.Time) error
	// Freeze writes down why a session is frozen; no causes: it is not.
	Freeze(id session.ID, causes []string, now time.Time) error
}

// Ledger is where tickets come from; see package ledger.
type Ledger interface {
	ByKeyFor(line, asset, service string, now time.Time) (ledger.Ticket, error)
	Begin(t ledger.Ticket, now time.Time) (session.SessionFacts, error)
	End(id session.ID, reason session.EndReason, now time.Time) error
	Freeze(id session.ID, causes []string, now time.Time) error
}

// FromLedger makes tickets of what a ledger admitted, and of nothing else.
func FromLedger(l Ledger) Tickets {
	if c, ok := l.(Criticals); ok {
		return struct {
			admitted
			Criticals
		}{admitted{l}, c}
	}
	return admitted{l}
}

type admitted struct{ Ledger }

func (a admitted) Find(key, asset, service string, now time.Time) (*Ticket, error) {
	printed, err := a.ByKeyFor(key, asset, service, now)
	if err != nil {
		return nil, err
	}
	t, err := ticketOf(printed)
	if err != nil {
		return nil, err
	}
	if !printed.Covers(asset, service) {
		return nil, session.Errorf(session.Refused, "This grant does not open %.64s of %.64s.", service, asset).
			WithNext("Request that service with sallyport request new.")
	}
	return t, nil
}

func (a admitted) Begin(t *Ticket, now time.Time) (session.SessionFacts, error) {
	return a.Ledger.Begin(t.Admitted.WithConsent(t.Consent), now)
}
