package grant

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
)

// ErrMoreApprovals is in the chain of Verify's error when all is well so far but
// more approvers must sign.
var ErrMoreApprovals = errors.New("more approvals are needed")

// CheckRequest checks a request and its engineer's token as they come in: steps 0,
// 1, 3 to 8 and 10 of the check order. The receipt stands for the token from now on.
func (v *Verifier) CheckRequest(ctx context.Context, doc []byte, p Proof, now time.Time) (Request, Receipt, error) {
	r, err := ParseRequest(doc)
	if err != nil {
		return Request{}, Receipt{}, err
	}
	asset, err := v.here(r.Terms())
	if err == nil {
		err = AdmitsRequest(asset, r, now, now)
	}
	if err != nil {
		return Request{}, Receipt{}, err
	}
	receipt, err := v.pins.engineer(ctx, doc, r, p, question{at: now})
	if err != nil {
		return Request{}, Receipt{}, err
	}
	if err := v.accepts(r.Asset, receipt); err != nil {
		return Request{}, Receipt{}, err
	}
	return r, receipt, nil
}

// CheckApproval checks a grant and one approver's token as they come in: steps 0 to
// 11 but for the ledger and the number of approvers. engineer is the receipt that
// CheckRequest gave for the same request.
func (v *Verifier) CheckApproval(ctx context.Context, requestDoc []byte, engineer Receipt, grantDoc []byte, p Proof, now time.Time) (Grant, Receipt, error) {
	set, err := v.documents(requestDoc, engineer, grantDoc, now)
	if err != nil {
		return Grant{}, Receipt{}, err
	}
	token, err := idtoken.Peek(p.Token)
	if err != nil {
		return Grant{}, Receipt{}, err
	}
	receipt, err := v.pins.answer(ctx, question{
		role: RoleApprove, issuer: token.Issuer, subject: set.gh, nonce: set.approveNonce, at: now,
	}, p)
	if err != nil {
		return Grant{}, Receipt{}, err
	}
	if err := v.approver(set, receipt); err != nil {
		return Grant{}, Receipt{}, err
	}
	return set.grant, receipt, nil
}

// Verify is step 11 with the count: it makes a Verified out of two documents and the
// receipts of tokens that were checked as they came in. While approvers are missing
// the error is Refused and wraps ErrMoreApprovals.
func (v *Verifier) Verify(requestDoc []byte, engineer Receipt, grantDoc []byte, approvals []Receipt, now time.Time) (Verified, error) {
	set, err := v.documents(requestDoc, engineer, grantDoc, now)
	if err != nil {
		return Verified{}, err
	}
	for _, i := range v.pins.issuers {
		keys, _ := v.pins.keys.For(i.URL)
		if err := sameClock(i.URL, keys); err != nil {
			return Verified{}, err
		}
	}
	for _, a := range approvals {
		if err := v.approver(set, a); err != nil {
			return Verified{}, err
		}
	}
	if err := distinct(approvals); err != nil {
		return Verified{}, err
	}
	if have, needed := v.Covered(set.grant.Asset, approvals), v.Needed(set.grant.Asset); have < needed || needed < 1 {
		return Verified{}, &session.Error{
			Kind:    session.Refused,
			Message: fmt.Sprintf("%d of %d approvals are there.", have, needed),
			Next:    v.waitFor(set.grant.Asset, approvals),
			Err:     ErrMoreApprovals,
		}
	}
	return set.verified(v.counting(set.grant.Asset, approvals)), nil
}

// documentSet is a request, a grant and an engineer that belong together.
type documentSet struct {
	requestDoc, grantDoc []byte
	request              Request
	grant                Grant
	gh                   [32]byte
	engineer             Receipt
}

// documents checks the two documents against each other, the engineer's receipt and
// the policy.
func (v *Verifier) documents(requestDoc []byte, engineer Receipt, grantDoc []byte, now time.Time) (documentSet, error) {
	set, err := match(requestDoc, engineer, grantDoc)
	if err != nil {
		return documentSet{}, err
	}
	if set.grant.Agent != v.agent {
		return documentSet{}, refused("The grant is for another agent.", "Approve with the trust bundle of this site.")
	}
	asset, err := v.here(set.grant.Terms())
	if err == nil {
		err = AdmitsGrant(asset, set.request, engineer.Received, set.grant, now)
	}
	if err != nil {
		return documentSet{}, err
	}
	if _, err := v.pins.pin(question{role: RoleRequest, issuer: engineer.Person.Iss}); err != nil {
		return documentSet{}, err
	}
	return set, v.accepts(set.request.Asset, engineer)
}

// match is the part of the check that needs no policy: the grant stands on this
// request and within it, and the engineer's receipt is for it.
func match(requestDoc []byte, engineer Receipt, grantDoc []byte) (documentSet, error) {
	r, err := ParseRequest(requestDoc)
	if err != nil {
		return documentSet{}, err
	}
	g, err := ParseGrant(grantDoc)
	if err != nil {
		return documentSet{}, err
	}
	qh := RequestHash(requestDoc)
	if g.Req != hex.EncodeToString(qh[:]) {
		return documentSet{}, refused("The grant was made for another request.", "Approve this request itself.")
	}
	if err := Within(g, r); err != nil {
		return documentSet{}, err
	}
	nonce := func(salt [32]byte) string { return RequestNonce(requestDoc, salt) }
	if !engineer.fits(RoleRequest, qh, nonce) || engineer.Person.Identity != r.Eng {
		return documentSet{}, notFor("engineer")
	}
	return documentSet{
		requestDoc: slices.Clone(requestDoc), grantDoc: slices.Clone(grantDoc),
		request: r, grant: g, gh: GrantHash(grantDoc), engineer: engineer,
	}, nil
}

func (s documentSet) approveNonce(salt [32]byte) string {
	return ApproveNonce(s.grantDoc, s.engineer.Proof.Token, salt)
}

// approver checks what a receipt must satisfy for this grant and policy.
func (v *Verifier) approver(s documentSet, a Receipt) error {
	if err := s.signedBy(a); err != nil {
		return err
	}
	if _, err := v.pins.pin(question{role: RoleApprove, issuer: a.Person.Iss}); err != nil {
		return err
	}
	if err := v.accepts(s.grant.Asset, a); err != nil {
		return err
	}
	return v.places(s.grant.Asset, a)
}

// signedBy checks that a receipt approves this grant and is not the engineer's own.
// With one shared issuer nothing else would stop people from approving themselves.
func (s documentSet) signedBy(a Receipt) error {
	if !s.proves(a) {
		return notFor("approver")
	}
	if a.Person.Identity == s.engineer.Person.Identity {
		return denied("Engineers cannot approve their own requests.", "Ask somebody of the hospital.")
	}
	return nil
}

func distinct(approvals []Receipt) error {
	seen := map[session.Identity]bool{}
	for _, a := range approvals {
		if seen[a.Person.Identity] {
			return refused("The same person approved twice.", "Ask another approver.")
		}
		seen[a.Person.Identity] = true
	}
	if len(approvals) > maxApprovers {
		return refused("There are too many approvals.", "Ask again.")
	}
	return nil
}

// accepts checks the class of client in which a person signed against the asset.
func (v *Verifier) accepts(asset string, r Receipt) error {
	accept := v.assets[asset].Policy.Accept
	classes, who := accept.Engineer, "engineers"
	switch r.Role {
	case RoleApprove:
		classes, who = accept.Approver, "approvers"
	case RoleWatch:
		classes, who = accept.Approver, "people who watch and"
	}
	if slices.Contains(classes, r.Client) {
		return nil
	}
	return &session.Error{
		Kind:    session.Refused,
		Message: fmt.Sprintf("%s does not accept %s who sign in by %s.", asset, who, className(r.Client)),
		Next:    "Use " + className(classes[0]) + ".",
	}
}

func className(c session.ClientClass) string {
	switch c {
	case session.CLI:
		return "their own command line"
	case session.Console:
		return "the hospital console (sallyport approve, sallyport sessions watch)"
	case session.Web:
		return "the broker's web page"
	}
	return "an unknown program"
}

func notFor(who string) error {
	return refused("The "+who+"'s proof does not belong to these documents.", "Start again with a new request.")
}

// engineer checks an engineer's token for a request.
func (p pins) engineer(ctx context.Context, doc []byte, r Request, proof Proof, q question) (Receipt, error) {
	q.role, q.issuer, q.subject = RoleRequest, r.Eng.Iss, RequestHash(doc)
	q.nonce = func(salt [32]byte) string { return RequestNonce(doc, salt) }
	receipt, err := p.answer(ctx, q, proof)
	if err != nil {
		return Receipt{}, err
	}
	if receipt.Person.Identity != r.Eng {
		return Receipt{}, denied("The request names another engineer than the one who signed in.", "Ask under your own name.")
	}
	return receipt, nil
}
