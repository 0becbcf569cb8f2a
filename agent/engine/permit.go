package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
)

// permit is what the engine needs to know of a ticket. Production makes one by
// permitFrom and in no other way.
type permit struct {
	id        session.ID // the grant's and the session's
	request   string     // R-...
	grantHash string     // hex
	asset     string
	channels  map[session.Channel]bool
	engineer  session.Person
	approvers []session.Person
	workOrder string
	notAfter  time.Time
	ticket    ledger.Ticket
}

// permitFrom reads a ticket. The zero ticket is refused.
func permitFrom(t ledger.Ticket) (*permit, error) {
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
	p := &permit{
		id: t.ID(), request: rid.Request(), grantHash: hex.EncodeToString(hash[:]), asset: v.Grant().Asset,
		channels: map[session.Channel]bool{}, engineer: v.Engineer().Person, workOrder: v.Request().Ref,
		notAfter: time.Unix(v.Grant().EXP, 0), ticket: t,
	}
	for _, c := range session.Channels() {
		p.channels[c] = t.Allows(c)
	}
	for _, a := range v.Approvers() {
		p.approvers = append(p.approvers, a.Person)
	}
	return p, nil
}

func (p *permit) may(c session.Channel) bool { return p.channels[c] }

// rights is where permits come from and what they open.
type rights interface {
	find(line, asset, service string, now time.Time) (*permit, error)
	begin(p *permit, now time.Time) (session.SessionFacts, error)
	end(id session.ID, reason session.EndReason, now time.Time) error
	dial(ctx context.Context, p *permit, service string) (*gossh.Client, error)
}

// tickets are the rights of production: the ledger's tickets, and devices that take
// nothing else.
type tickets struct {
	ledger  Ledger
	devices Devices
}

func (t tickets) find(line, asset, service string, now time.Time) (*permit, error) {
	ticket, err := t.ledger.ByKeyFor(line, asset, service, now)
	if err != nil {
		return nil, err
	}
	p, err := permitFrom(ticket)
	if err != nil {
		return nil, err
	}
	if !ticket.Covers(asset, service) {
		return nil, session.Errorf(session.Refused, "This grant does not open %.64s of %.64s.", service, asset).
			WithNext("Request that service with sallyport request new.")
	}
	return p, nil
}

func (t tickets) begin(p *permit, now time.Time) (session.SessionFacts, error) {
	return t.ledger.Begin(p.ticket, now)
}

func (t tickets) end(id session.ID, reason session.EndReason, now time.Time) error {
	return t.ledger.End(id, reason, now)
}

func (t tickets) dial(ctx context.Context, p *permit, service string) (*gossh.Client, error) {
	return t.devices.Dial(ctx, p.ticket, service)
}
