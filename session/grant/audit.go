package grant

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
)

// ErrNotPinned is in the chain of a Finding's error when the bundle says nothing about
// a token's identity provider: the token is then neither right nor wrong.
var ErrNotPinned = errors.New("the trust bundle does not name this identity provider")

// Finding is what an audit found out about one person's proof.
type Finding struct {
	Receipt Receipt // as it was kept
	Err     error   // nil: the token holds, for these documents, with the key that was kept, and so does the passkey's answer
}

// Audited is what an audit found out about a grant.
type Audited struct {
	Request   Request
	Grant     Grant
	Engineer  Finding
	Approvers []Finding
}

// Audit checks the documents and tokens of an admitted grant once more, long after
// and without a network, by the steps with which the agent checked them: nonces over
// the exact bytes, signatures with the keys that were kept, times at the kept time of
// receipt, issuers, clients and groups as the hospital's bundle pins them. The
// asset's policy is not in the bundle: how many approvers and which sign-in strength
// it asked for is the agent's word. The error is about the documents; each token's
// is in its Finding.
func Audit(ctx context.Context, t session.Trust, requestDoc []byte, engineer Receipt, grantDoc []byte, approvals []Receipt) (Audited, error) {
	set, err := match(requestDoc, engineer, grantDoc)
	if err != nil {
		return Audited{}, err
	}
	identity, err := session.ParseKeyLine(t.Identity)
	if err != nil {
		return Audited{}, err
	}
	switch {
	case set.grant.Site != t.Site || set.grant.Agent != session.Fingerprint(identity):
		return Audited{}, refused("The grant is for another agent.", "Use the trust bundle of its site.")
	case len(approvals) == 0:
		return Audited{}, notFor("approver")
	}
	if err := distinct(approvals); err != nil {
		return Audited{}, err
	}
	out := Audited{Request: set.request, Grant: set.grant, Engineer: Finding{Receipt: engineer.clone()}}
	out.Engineer.Receipt.Person, out.Engineer.Err = auditOne(ctx, t, engineer, question{
		role: RoleRequest, issuer: set.request.Eng.Iss, subject: RequestHash(requestDoc), at: engineer.Received,
		nonce: func(salt [32]byte) string { return RequestNonce(requestDoc, salt) },
	})
	for _, a := range approvals {
		f := Finding{Receipt: a.clone(), Err: set.signedBy(a)}
		if f.Err == nil && a.Proof.Token != "" {
			f.Receipt.Person, f.Err = auditOne(ctx, t, a, question{role: RoleApprove, issuer: a.Person.Iss, subject: set.gh, nonce: set.approveNonce, at: a.Received})
		}
		if a.Passkey != nil {
			f.Err = worse(f.Err, auditKey(t, grantDoc, a))
		}
		out.Approvers = append(out.Approvers, f)
	}
	return out, nil
}

// auditOne asks the question that the agent asked, with the one key that it kept, and
// compares the answer with the one that it kept. An address that the bundle does not leave
// to the issuer, today, is not shown.
func auditOne(ctx context.Context, t session.Trust, kept Receipt, q question) (session.Person, error) {
	i := slices.IndexFunc(t.Issuers, func(i session.Issuer) bool { return i.URL == q.issuer })
	if i < 0 {
		return kept.Person, fmt.Errorf("%w: %.200q", ErrNotPinned, q.issuer)
	}
	keys, err := idtoken.Kept(t.Issuers[i], kept.Key)
	if err != nil {
		return kept.Person, err
	}
	p := pins{issuers: t.Issuers, keys: idtoken.Only(keys)}
	again, err := p.answer(ctx, q, kept.Proof)
	if err != nil {
		return kept.Person, err
	}
	if again.Person.Email == "" {
		kept.Person.Email = ""
	}
	if again.Person != kept.Person || again.Client != kept.Client || again.KeyID != kept.KeyID ||
		!again.IssuedAt.Equal(kept.IssuedAt) || !again.AuthTime.Equal(kept.AuthTime) {
		return kept.Person, fmt.Errorf("the token does not say what was kept of it")
	}
	return again.Person, nil
}
