package grant

import (
	"context"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
)

// Console is the verifier of an approver's own machine. It knows the trust bundle of
// a site and no asset's policy, and judges documents and engineers as the agent does.
type Console struct {
	site string
	pins pins
	keys []session.ConsoleKey
}

// NewConsole reads a trust bundle that came from the hospital, never from the broker.
func NewConsole(t session.Trust, keys *idtoken.KeySets) (*Console, error) {
	_, err := session.ParseKeyLine(t.Identity)
	if err != nil || t.V != 1 || !session.ValidName(t.Site) {
		return nil, &session.Error{
			Kind:    session.Invalid,
			Message: "The trust bundle cannot be used.",
			Next:    "Ask the hospital for a new one (sallyport-agent trust export).",
			Err:     err,
		}
	}
	pinned, err := newPins(t.Issuers, keys)
	if err != nil {
		return nil, err
	}
	return &Console{site: t.Site, pins: pinned, keys: t.ConsoleKeys}, nil
}

// CheckRequestAsMinted checks a request and its engineer's token like the agent, but
// judges the token's times at its own iat: an approver may look at it much later, and
// its age is the agent's business. The receipt's Received is the iat. What the
// asset's policy says to it, only the agent knows.
func (c *Console) CheckRequestAsMinted(ctx context.Context, doc []byte, p Proof) (Request, Receipt, error) {
	r, err := ParseRequest(doc)
	if err != nil {
		return Request{}, Receipt{}, err
	}
	if r.Site != c.site {
		return Request{}, Receipt{}, refused("This request is for the site "+r.Site+", not for "+c.site+".", "Use the trust bundle of that site.")
	}
	receipt, err := c.pins.engineer(ctx, doc, r, p, question{asMinted: true})
	if err != nil {
		return Request{}, Receipt{}, err
	}
	return r, receipt, nil
}

// CheckApprovalAsMinted checks that a token signs exactly this grant for the engineer's
// token, and judges its times as CheckRequestAsMinted does. Whether its approver counts for
// the asset only the agent knows.
func (c *Console) CheckApprovalAsMinted(ctx context.Context, engineer Receipt, grantDoc []byte, p Proof) (Receipt, error) {
	token, err := idtoken.Peek(p.Token)
	if err != nil {
		return Receipt{}, err
	}
	set := documentSet{grantDoc: grantDoc, engineer: engineer}
	return c.pins.answer(ctx, question{
		role: RoleApprove, issuer: token.Issuer, subject: GrantHash(grantDoc), nonce: set.approveNonce, asMinted: true,
	}, p)
}

// CheckPasskey checks that a passkey of the agent's page which the trust bundle names, and
// which was not revoked then, signed exactly this grant, and returns whose it is. When that
// was is the agent's word.
func (c *Console) CheckPasskey(grantDoc []byte, a *Assertion) (session.Identity, error) {
	owner, err := bundled(c.keys, grantDoc, a)
	if err == nil {
		_, err = c.pins.pin(question{role: RoleApprove, issuer: owner.Iss})
	}
	return owner, err
}
