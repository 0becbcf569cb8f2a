package broker

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/broker/sshd"
	"github.com/sallyport/sallyport/broker/store"
	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/link"
)

// What agents say, handed to the room it concerns: link.BrokerHandler. Site and
// agent come from the certificate, so an agent speaks for its own site only.

// Hello takes an agent in. A store that is away turns nobody out: the agent's live
// sessions would end with its link. What it announced is written down later.
func (b *Broker) Hello(ctx context.Context, h link.Hello) error {
	a := arrival{site: h.Site, agent: h.Agent}
	if err := b.access.Announce(ctx, h); err != nil {
		if session.KindOf(err) != session.Unreachable {
			return err
		}
		b.log.Warn("an agent is taken in without the store", "site", h.Site, "agent", h.Agent, "err", err)
		a.hello = &h
	}
	select {
	case b.arrived <- a:
	default: // a storm of arrivals: session reports settle what they concern
		if a.hello != nil { // and nothing else would announce this one
			return session.Errorf(session.Unreachable, "The broker's store did not answer.").WithNext("The agent tries again by itself.")
		}
	}
	return nil
}

// arrival is an agent that dialled in and is owed whatever it missed.
type arrival struct {
	site, agent string
	hello       *link.Hello // still to be announced
}

// settleArrivals tells agents what they missed, each once its connection serves.
// What the store cannot do now is tried until it can or the agent has left.
func (b *Broker) settleArrivals(ctx context.Context) error {
	var late []arrival
	again := time.NewTicker(settleAgain)
	defer again.Stop()
	for {
		var todo []arrival
		select {
		case <-ctx.Done():
			return nil
		case a := <-b.arrived:
			// A newer word of the same agent replaces what it said before.
			late = slices.DeleteFunc(late, func(old arrival) bool { return old.site == a.site && old.agent == a.agent })
			todo = []arrival{a}
		case <-again.C:
			todo, late = late, nil
		}
		for i, a := range todo {
			if !b.settleOne(ctx, &a) {
				late = append(late, a)
				late = append(late, todo[i+1:]...) // the store is away for them too
				break
			}
		}
	}
}

// settleOne reports whether nothing is left to do for an arrival.
func (b *Broker) settleOne(ctx context.Context, a *arrival) bool {
	if !b.awaitOnline(ctx, *a) {
		return true
	}
	if a.hello != nil {
		err := b.access.Announce(ctx, *a.hello)
		if session.KindOf(err) == session.Unreachable && err != nil {
			return false
		}
		if err != nil {
			b.log.Error("an agent's announcement is refused", "site", a.site, "agent", a.agent, "err", err)
		}
		a.hello = nil
	}
	b.appended(witness.Event{Site: a.site}) // it gets the log's checkpoint now
	err := b.access.Settle(ctx, a.site, a.agent)
	if err != nil {
		b.log.Warn("an agent could not be told what it missed", "site", a.site, "agent", a.agent, "err", err)
	}
	return err == nil || session.KindOf(err) != session.Unreachable
}

func (b *Broker) awaitOnline(ctx context.Context, a arrival) bool {
	for range 100 {
		if b.fleet.Online(a.site, a.agent) {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	return false
}

func (b *Broker) Report(ctx context.Context, site, agent string, r link.SessionReport) error {
	if r.Answer != nil {
		return b.access.ReportAnswer(ctx, site, agent, *r.Answer)
	}
	if r.Passkey != nil {
		return b.access.ReportPasskey(ctx, site, agent, *r.Passkey)
	}
	if len(r.Assets) > 0 {
		return b.access.ReportStandings(ctx, site, agent, r.Assets)
	}
	return b.access.ReportSession(ctx, site, agent, r)
}

// Put stores one part and lists it, if its site has room.
func (b *Broker) Put(ctx context.Context, site, agent string, p link.Put, body io.Reader) error {
	if _, err := b.vault.Size(ctx, site, p.Recording, p.Part); err == nil { // once more: it takes no room
		return b.archive.Put(ctx, site, agent, p, body)
	}
	done, err := b.quota.admits(ctx, site, p.Size)
	if err != nil {
		return err
	}
	defer done()
	if err := b.archive.Put(ctx, site, agent, p, body); err != nil {
		return err
	}
	return b.quota.count(ctx, site, p.Size)
}

// Countersign gives the receipt for a head: link.Countersigner.
func (b *Broker) Countersign(ctx context.Context, site, agent, recording string, head []byte) ([]byte, error) {
	return b.archive.Countersign(ctx, site, agent, recording, head)
}

// once is the store as the fleet wants it: things that can be taken one time.
type once struct{ st *store.Store }

func (o once) Create(ctx context.Context, kind, id string, body []byte, ttl time.Duration) error {
	return o.st.Create(ctx, kind, id, body, ttl)
}

func (o once) Update(ctx context.Context, kind, id string, edit func([]byte) ([]byte, error)) error {
	return o.st.Update(ctx, kind, id, edit)
}

func (o once) Take(ctx context.Context, kind, id string) ([]byte, error) {
	doc, err := o.st.Take(ctx, kind, id)
	return doc.Body, err
}

// routes is access as the jump host wants it.
type routes struct{ access *access.Access }

func (r routes) KeyOwner(ctx context.Context, line string) (session.Identity, string, error) {
	owner, err := r.access.KeyOwner(ctx, line)
	return owner.Identity, owner.Request.Request(), err
}

func (r routes) Route(ctx context.Context, engineer session.Identity, of session.Target) (sshd.Route, error) {
	to, err := r.access.Route(ctx, engineer, of)
	return sshd.Route{Site: to.Site, Agent: to.Agent, Asset: to.Asset, Service: to.Service, Session: to.Session.Session()}, err
}

func (r routes) Barred(ctx context.Context, engineer session.Identity, site string) (bool, error) {
	return r.access.Barred(ctx, engineer, site)
}
