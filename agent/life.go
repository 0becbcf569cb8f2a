package agent

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sallyport/sallyport/agent/ledger"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/link"
)

// What can freeze a session. Each is lifted only where it was set.
const (
	causeLocal  = "local"
	causeBroker = "broker"
)

// broughtBy is who asked, as the broker says: good for a log and a remark, no more.
func broughtBy(in link.Deliver) string {
	if in.By == nil || in.By.Email == "" {
		return "the hospital, through the broker"
	}
	return in.By.Email + ", through the broker"
}

// activate lets a key of the grant's engineer join it.
func (d *deliveries) activate(ctx context.Context, in link.Deliver) (link.Verdict, error) {
	id, err := session.ParseSessionID(in.ID)
	if err != nil {
		return link.Verdict{}, err
	}
	ticket, err := d.ledger.Ticket(id)
	if err != nil {
		return link.Verdict{}, err
	}
	now := d.now()
	receipt, err := d.verifier.CheckActivation(ctx, ticket.Grant(), in.Key, grant.Proof{Token: in.Token, Salt: in.Salt}, now)
	if err != nil {
		return link.Verdict{}, err
	}
	keys, err := d.ledger.Activate(id, in.Key, receipt, now)
	if err != nil {
		return link.Verdict{}, err
	}
	d.log.Info("key activated", "session", in.ID, "keys", keys, "engineer", receipt.Person.Sub)
	d.changed(id)
	return link.Verdict{OK: true, Received: &receipt.Received}, nil
}

// watch lets a key of somebody of the hospital see a session for a quarter of an hour.
// Nothing of it is kept beyond that, or over a restart.
func (d *deliveries) watch(ctx context.Context, in link.Deliver) (link.Verdict, error) {
	id, err := session.ParseSessionID(in.ID)
	if err != nil {
		return link.Verdict{}, err
	}
	ticket, err := d.ledger.Ticket(id)
	if err != nil {
		return link.Verdict{}, err
	}
	receipt, until, err := d.verifier.CheckWatch(ctx, ticket.Grant().Grant().Asset, id.Session(), in.Key, grant.Proof{Token: in.Token, Salt: in.Salt}, d.now())
	if err == nil {
		err = d.allow(id, in.Key, receipt.Person, until)
	}
	if err != nil {
		return link.Verdict{}, err
	}
	return link.Verdict{OK: true, Received: &receipt.Received, Until: &until}, nil
}

// extendable refuses an extension whose session does not live or would grow beyond
// the hospital's policy. Other requests pass.
func (d *deliveries) extendable(r grant.Request, now time.Time) error {
	if r.Kind != grant.KindExtension {
		return nil
	}
	parent, err := d.ledger.Extendable(r, now)
	if err != nil {
		return err
	}
	return d.verifier.CheckExtension(r, parent)
}

// longer tells the session that an extension is about what becomes of it: when that ends
// now, and when it would then, by the bytes that its engineer signed.
func (d *deliveries) longer(r grant.Request, words func(now, then string) string) {
	parent, err := session.ParseText(r.Parent)
	if r.Kind != grant.KindExtension || err != nil || d.say == nil {
		return
	}
	facts, known := d.ledger.Facts(parent)
	if !known || facts.Opened.IsZero() {
		return
	}
	clock := func(t time.Time) string { return t.UTC().Format("15:04:05 MST") }
	d.say(parent, words(clock(facts.Deadline), clock(session.Deadline(facts.Opened, time.Duration(r.MaxS)*time.Second, time.Unix(r.EXP, 0)))))
}

// useful refuses an approval that cannot help: of an extension whose session is over,
// or by somebody whose group's places are taken.
func (d *deliveries) useful(p ledger.Pending, doc []byte, r grant.Receipt, now time.Time) error {
	stored, err := grant.ParseRequest(p.Request)
	if err != nil {
		return err
	}
	if err := d.extendable(stored, now); err != nil {
		return err
	}
	var others []grant.Receipt
	if bytes.Equal(p.Grant, doc) {
		others = p.Approvals
	}
	again := slices.ContainsFunc(others, func(o grant.Receipt) bool { return o.Person.Identity == r.Person.Identity })
	if again || d.verifier.Helps(stored.Asset, others, r) {
		return nil
	}
	return session.Errorf(session.Refused, "Enough people of this approver's groups have approved.").
		WithNext("Somebody of another group must approve now.")
}

// admit passes on what an admission changed: an extension moves a running deadline.
func (d *deliveries) admit(t ledger.Ticket, v grant.Verified) {
	if v.Request().Kind != grant.KindExtension {
		return
	}
	facts, _ := d.ledger.Facts(t.ID())
	d.extend(t.ID(), facts.Deadline)
	d.log.Info("session extended", "session", t.ID().Session(), "deadline", facts.Deadline)
	d.changed(idOf(v.Grant().GID))
}

// freeze and thaw on the broker's word concern the broker's own cause only.
func (d *deliveries) freeze(_ context.Context, in link.Deliver) (link.Verdict, error) {
	id, err := session.ParseSessionID(in.ID)
	if err != nil {
		return link.Verdict{}, err
	}
	if in.Kind == link.DeliverFreeze {
		_, err = d.live.Freeze(id, causeBroker, broughtBy(in))
	} else {
		_, err = d.live.Thaw(id, causeBroker, broughtBy(in))
	}
	if err != nil {
		return link.Verdict{}, err
	}
	return link.Verdict{OK: true}, nil
}

// disable ends everything of an engineer. It narrows, so it needs no token.
func (d *deliveries) disable(_ context.Context, in link.Deliver) (link.Verdict, error) {
	if in.By == nil || in.By.Iss == "" || in.By.Sub == "" {
		return link.Verdict{}, session.Errorf(session.Invalid, "It is not said whose access ends").WithNext("Name the engineer.")
	}
	theirs := func(_ string, who session.Person) bool { return who.Identity == in.By.Identity }
	done, err := d.endWhere(theirs, session.RevokedGrant, "the broker, which disabled the engineer")
	if err != nil {
		return link.Verdict{}, err
	}
	d.log.Info("engineer disabled", "engineer", in.By.Sub, "ended", len(done.sessions))
	return link.Verdict{OK: true}, nil
}

// ended is what endWhere ended: sessions, grants that nobody had opened, and requests
// that waited for an answer.
type ended struct{ sessions, grants, requests []ledger.Entry }

// endWhere closes for good everything that covers names. Live sessions are cut at once,
// before anything is written. Then the ledger closes what was admitted and what waits,
// so that nothing more begins, and what began in between is cut as well.
func (d *deliveries) endWhere(covers func(asset string, who session.Person) bool, reason session.EndReason, by string) (ended, error) {
	now := d.now()
	cut, err := d.live.EndWhere(covers, reason, by)
	closed, err2 := d.ledger.CloseWhere(covers, reason, now)
	late, err3 := d.live.EndWhere(covers, reason, by)
	cut = append(cut, late...)
	var out ended
	for _, e := range d.ledger.Entries(now) {
		switch {
		case !slices.Contains(cut, e.Session) && !slices.Contains(closed, e.Request):
		case e.Session.IsZero():
			out.requests = append(out.requests, e)
		case e.Facts.Session.Opened.IsZero():
			out.grants = append(out.grants, e)
			d.changed(e.Session)
		default:
			out.sessions = append(out.sessions, e)
		}
	}
	d.log.Info("ended", "reason", string(reason), "sessions", len(out.sessions), "grants", len(out.grants), "requests", len(out.requests), "user", by)
	return out, errors.Join(err, err2, err3)
}
