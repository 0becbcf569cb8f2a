package access

import (
	"context"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/recordings/witness"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
	"github.com/sallyport/sallyport/session/idtoken"
	"github.com/sallyport/sallyport/session/link"
	"github.com/sallyport/sallyport/session/wording"
)

// ReportAnswer takes what an agent tells of an answer that somebody gave on its own page, to
// a request that it holds. It may come twice, and long after: what stands here already wins
// over a yes, which the agent is then told to take back.
func (a *Access) ReportAnswer(ctx context.Context, site, agent string, x link.Answer) error {
	id, err := session.ParseRequestID(x.Request)
	if err != nil {
		return err
	}
	r, err := a.fetch(ctx, id)
	if err != nil {
		return err
	}
	if r.doc.Site != site || r.Agent != agent {
		return unknownRequest(id)
	}
	by, err := a.answers(r, x)
	if err != nil {
		return err
	}
	if len(x.Grant) == 0 {
		return a.deniedHere(ctx, r, by, x.Reason)
	}
	p := proof{Token: x.Token, Salt: x.Salt, By: by, Passkey: x.Passkey, Groups: r.wanted(x.Groups), Here: true}
	if r.approvedBy(x.Grant, p) {
		return nil // it was told before
	}
	g, err := grant.ParseGrant(x.Grant)
	if err != nil {
		return err
	}
	if mine, err := a.point(ctx, grantKind, g.GID, r.id, 0); err != nil {
		return err
	} else if !mine {
		return refusal(session.Refused, "Approve it again.", "The grant's id was used before.")
	}
	if err := a.pinHere(ctx, r.id, x.Grant); err != nil {
		return err
	}
	at := x.At
	v := link.Verdict{OK: true, Admitted: x.Admitted, Count: x.Count, Needed: x.Needed, Received: &at}
	_, _, err = a.approved(ctx, by, r.id, x.Grant, p, v)
	if k := session.KindOf(err); k == session.Refused || k == session.Expired {
		return nil // it was denied or withdrawn, and the agent has been told
	}
	return err
}

// speaksFor is the identity provider of a hospital's own people.
func (a *Access) speaksFor(issuer, site string) (session.Issuer, bool) {
	all := a.issuer()
	i := slices.IndexFunc(all, func(i session.Issuer) bool {
		return i.URL == issuer && i.Side == session.HospitalSide && a.serves(i.URL, site)
	})
	if i < 0 {
		return session.Issuer{}, false
	}
	return all[i], true
}

// answers checks an answer against its request, and returns whose it is as far as their
// identity provider may say so here.
func (a *Access) answers(r record, x link.Answer) (by session.Person, err error) {
	wrong := func(what string) error {
		return refusal(session.Invalid, "Update the agent, or look into its log.", "The agent's word about %s is wrong about %s.", r.id.Request(), what)
	}
	of, known := a.speaksFor(x.By.Iss, r.doc.Site)
	switch {
	case !known || x.By.Identity == r.Engineer.Identity || !wording.Plain(x.By.Sub):
		return by, wrong("who said it")
	case len(x.Grant) == 0 && !sentence(x.Reason, maxDenial):
		return by, wrong("the reason")
	}
	by = session.Person{Identity: x.By.Identity, Name: wording.Name(x.By.Name)}
	if _, domain, ok := strings.Cut(x.By.Email, "@"); ok && wording.Plain(x.By.Email) && slices.Contains(of.Domains, strings.ToLower(domain)) {
		by.Email = x.By.Email
	}
	if len(x.Grant) == 0 {
		return by, nil
	}
	g, err := grant.ParseGrant(x.Grant)
	if err == nil {
		err = grant.Answers(g, r.Request, r.Identity)
	}
	if err == nil {
		err = checkHere(x)
	}
	if err != nil {
		return by, err
	}
	if len(x.Passkey) > 0 {
		if said, err := grant.ParseAssertion(x.Passkey); err != nil || said.Check(x.Grant) != nil {
			return by, wrong("the passkey")
		}
	}
	if t, err := idtoken.Peek(x.Token); x.Token != "" && (err != nil || t.Issuer != by.Iss) {
		return by, wrong("where they signed in")
	}
	return by, nil
}

// checkHere checks the shape of an answer's proof: a token, or a passkey's word without one.
func checkHere(x link.Answer) error {
	if x.Token == "" && len(x.Passkey) > 0 {
		return nil
	}
	return checkProof(grant.Proof{Token: x.Token, Salt: x.Salt})
}

// pinHere makes a grant that the agent holds the only one of its request.
func (a *Access) pinHere(ctx context.Context, id session.ID, raw []byte) error {
	_, err := a.edit(ctx, id, func(r *record) error {
		pinned, ok := r.grant()
		if a.now().Sub(r.Answer.Delivered) > answerDue {
			r.Answer.InFlight = 0
		}
		switch same := string(r.Answer.Grant) == string(raw); {
		case !ok || same:
		case len(r.Answer.Approvals) > 0 && a.now().Unix() < pinned.EXP || !r.Answer.Granted.IsZero():
			return refusal(session.Refused, "See sallyport request show.", "Another approver approved other terms.")
		case r.Answer.InFlight > 0 && a.now().Unix() < pinned.EXP: // which the agent refuses
			return refusal(session.Unreachable, "Tell again.", "An answer about other terms is still out.")
		default:
			r.Answer.InFlight, r.Answer.Approvals, r.Answer.Count = 0, nil, 0
		}
		r.Answer.Grant, r.Answer.Delivered = raw, a.utc()
		r.Answer.InFlight++
		return nil
	})
	return err
}

// deniedHere records a denial that the agent has carried out.
func (a *Access) deniedHere(ctx context.Context, r record, by session.Person, reason string) error {
	if stillOpen(r, a.now()) != nil {
		return nil // it was told before, or it is over in another way
	}
	r, err := a.close(ctx, r.id, by, witness.Denied, a.denial(by, reason))
	if err != nil {
		if session.KindOf(err) == session.Refused {
			return nil
		}
		return err
	}
	a.notify(ctx, NoticeDenied, r, by)
	return nil
}
