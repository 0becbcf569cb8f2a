package agent

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/link"
)

// deliveries takes what the broker delivers, checks it as if the broker were an enemy,
// and writes down what passed. It is the only way into the ledger.
type deliveries struct {
	verifier    *grant.Verifier
	ledger      *ledger.Ledger
	live        live
	holds       *holds
	extend      func(id session.ID, deadline time.Time) bool
	allow       func(id session.ID, key string, who session.Person, until time.Time) error // to watch
	say         func(id session.ID, words string)                                          // to the engineer of a live session
	changed     func(session.ID)                                                           // tells the broker how a grant stands now
	now         func() time.Time
	log         *slog.Logger
	checkpoints *checkpoints // of the broker's audit logs
}

// live is the sessions that run now, and the grants that could; see package engine.
type live interface {
	End(id session.ID, reason session.EndReason, by string) error
	EndWhere(covers func(asset string, who session.Person) bool, reason session.EndReason, by string) ([]session.ID, error)
	Freeze(id session.ID, cause, by string) ([]string, error)
	Thaw(id session.ID, cause, by string) ([]string, error)
}

// handler is who takes a kind of delivery, and whether it lets somebody do more than
// before. Such a delivery is refused while the broker's audit log cannot be believed;
// what narrows is always taken.
func (d *deliveries) handler(kind link.Delivery) (take func(context.Context, link.Deliver) (link.Verdict, error), widens bool) {
	switch kind {
	case link.DeliverRequest:
		return d.request, true
	case link.DeliverApproval:
		return d.approval, true
	case link.DeliverActivate:
		return d.activate, true
	case link.DeliverWatch:
		return d.watch, true
	case link.DeliverFreeze, link.DeliverThaw:
		return d.freeze, false
	case link.DeliverWithdraw:
		return d.withdraw, false
	case link.DeliverRevoke:
		return d.revoke, false
	case link.DeliverDisable:
		return d.disable, false
	case link.DeliverCheckpoint:
		return d.checkpoints.take, false
	}
	return func(context.Context, link.Deliver) (link.Verdict, error) {
		return link.Verdict{}, session.Errorf(session.Invalid, "The agent does not know how to take a delivery of kind %.32q", kind)
	}, true
}

// deliver answers every delivery with a verdict; an error becomes the sentence
// that the person at the other end will read.
func (d *deliveries) deliver(ctx context.Context, in link.Deliver) (v link.Verdict) {
	take, widens := d.handler(in.Kind)
	var err error
	if widens {
		err = d.checkpoints.trouble(in.Node)
	}
	if err == nil {
		v, err = take(ctx, in)
	}
	if err != nil {
		d.log.Warn("delivery refused", "kind", in.Kind, "err", err)
		return verdictOf(err)
	}
	return v
}

func verdictOf(err error) link.Verdict {
	v := link.Verdict{Kind: session.KindOf(err), Message: "The agent could not take this because of a fault of its own.", Next: "Tell the hospital's IT; the agent's log has the details."}
	var e *session.Error
	if errors.As(err, &e) && e.Kind != session.Internal {
		v.Message, v.Next = e.Message, e.Next
	}
	return v
}

func (d *deliveries) request(ctx context.Context, in link.Deliver) (link.Verdict, error) {
	now := d.now()
	req, receipt, err := d.verifier.CheckRequest(ctx, in.Request, grant.Proof{Token: in.Token, Salt: in.Salt}, now)
	if err != nil {
		return link.Verdict{}, err
	}
	if err := d.extendable(req, now); err != nil {
		return link.Verdict{}, err
	}
	_, unknown := d.ledger.PendingRequest(idOf(req.RID)) // said once, however often it is delivered
	if err := d.ledger.Pend(in.Request, receipt); err != nil {
		return link.Verdict{}, err
	}
	if unknown != nil {
		d.longer(req, func(now, then string) string {
			return "The hospital was asked for more time, until " + then + " at the latest. Without its yes this session ends at " + now + "."
		})
	}
	d.log.Info("request taken", "request", idOf(req.RID).Request(), "asset", req.Asset, "services", req.Services, "engineer", receipt.Person.Sub)
	return link.Verdict{OK: true, Needed: d.verifier.Needed(req.Asset), Received: &receipt.Received}, nil
}

func (d *deliveries) approval(ctx context.Context, in link.Deliver) (link.Verdict, error) {
	return d.approve(ctx, in, d.ledger.AddApproval)
}

// keep puts a receipt beside the others of a grant: package ledger's AddApproval, or ApproveHere.
type keep func(rid session.ID, grantDoc []byte, r grant.Receipt) ([]grant.Receipt, error)

// signed is an approval that was checked.
type signed struct {
	grant   grant.Grant
	doc     []byte // exact bytes
	receipt grant.Receipt
}

// approve takes an approval by a token, wherever it was given.
func (d *deliveries) approve(ctx context.Context, in link.Deliver, keep keep) (link.Verdict, error) {
	// The bytes only say which request is meant; what counts is what we stored.
	named, err := grant.ParseRequest(in.Request)
	if err != nil {
		return link.Verdict{}, err
	}
	rid := idOf(named.RID)
	if v, ok := d.admitted(in.Grant); ok {
		return v, nil
	}
	pending, err := d.ledger.PendingRequest(rid)
	if err != nil {
		return link.Verdict{}, err
	}
	now := d.now()
	g, receipt, err := d.verifier.CheckApproval(ctx, pending.Request, pending.Engineer, in.Grant, grant.Proof{Token: in.Token, Salt: in.Salt}, now)
	if err != nil {
		return link.Verdict{}, err
	}
	return d.take(rid, pending, signed{g, in.Grant, receipt}, keep, now)
}

// take counts an approval that was checked, and admits the grant with the last that it needs.
func (d *deliveries) take(rid session.ID, pending ledger.Pending, s signed, keep keep, now time.Time) (link.Verdict, error) {
	g, receipt := s.grant, s.receipt
	if err := d.useful(pending, s.doc, receipt, now); err != nil {
		return link.Verdict{}, err
	}
	approvals, err := keep(rid, s.doc, receipt)
	if err != nil {
		return link.Verdict{}, err
	}
	v := link.Verdict{OK: true, Count: d.verifier.Covered(g.Asset, approvals), Needed: d.verifier.Needed(g.Asset), Received: &receipt.Received}
	verified, err := d.verifier.Verify(pending.Request, pending.Engineer, s.doc, approvals, now)
	if errors.Is(err, grant.ErrMoreApprovals) {
		d.log.Info("approval taken, more are needed", "request", rid.Request(), "have", v.Count, "need", v.Needed)
		return v, nil
	}
	if err != nil {
		return link.Verdict{}, err
	}
	ticket, err := d.ledger.Admit(verified, now)
	if err != nil {
		return link.Verdict{}, err
	}
	v.Admitted = true
	d.admit(ticket, verified)
	d.log.Info("grant admitted", "request", rid.Request(), "session", ticket.ID().Session(), "asset", g.Asset, "approver", receipt.Person.Sub, "client", receipt.Client)
	return v, nil
}

// admitted answers an approval whose yes the broker lost on the way: the very same
// grant stands in the ledger already, and saying so again opens nothing new.
func (d *deliveries) admitted(doc []byte) (link.Verdict, bool) {
	g, err := grant.ParseGrant(doc)
	if err != nil {
		return link.Verdict{}, false
	}
	t, err := d.ledger.Ticket(idOf(g.GID))
	approvers := t.Grant().Approvers()
	if err != nil || !bytes.Equal(t.Grant().GrantBytes(), doc) {
		var ok bool
		if approvers, ok = d.ledger.Extended(doc); !ok {
			return link.Verdict{}, false
		}
	}
	last := approvers[len(approvers)-1].Received
	return link.Verdict{OK: true, Admitted: true, Count: d.verifier.Covered(g.Asset, approvers), Needed: d.verifier.Needed(g.Asset), Received: &last}, true
}

// withdraw forgets a request that nobody admitted, or takes an unopened grant back.
// It narrows, so it needs no token.
func (d *deliveries) withdraw(_ context.Context, in link.Deliver) (link.Verdict, error) {
	rid, err := session.ParseRequestID(in.ID)
	if err != nil {
		return link.Verdict{}, err
	}
	was, unknown := d.ledger.PendingRequest(rid)
	if err := d.ledger.Withdraw(rid, d.now()); err != nil {
		return link.Verdict{}, err
	}
	if req, err := grant.ParseRequest(was.Request); unknown == nil && err == nil {
		d.longer(req, func(now, _ string) string {
			return "More time was declined, or is no longer asked for: this session ends at " + now + "."
		})
	}
	d.log.Info("request withdrawn", "request", in.ID, "kind", in.Kind)
	return link.Verdict{OK: true}, nil
}

func (d *deliveries) revoke(_ context.Context, in link.Deliver) (link.Verdict, error) {
	id, err := session.ParseSessionID(in.ID)
	if err != nil {
		return link.Verdict{}, err
	}
	if err := d.live.End(id, session.RevokedGrant, broughtBy(in)); err != nil {
		return link.Verdict{}, err
	}
	d.changed(id)
	return link.Verdict{OK: true}, nil
}

func idOf(text string) session.ID {
	id, _ := session.ParseText(text)
	return id
}
