package grant

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/session"
)

// CheckActivation checks the engineer's token by which a key joins a verified grant,
// as it comes in: it says that the engineer is still one now, and that the key is
// theirs. key is a plain ed25519 or P-256 key line. How many keys a grant has, and
// whether it is over, only the ledger knows.
func (v *Verifier) CheckActivation(ctx context.Context, g Verified, key string, p Proof, now time.Time) (Receipt, error) {
	if !g.Valid() {
		return Receipt{}, denied("Keys join an admitted grant only.", "Ask for access first.")
	}
	if checkKeyLine(key) != nil {
		return Receipt{}, invalid("activation", "carries a key that is not a plain ed25519 or P-256 key line", "Let sallyport make the key.")
	}
	engineer, doc := g.engineer.Person.Identity, g.grantBytes
	receipt, err := v.pins.answer(ctx, question{
		role: RoleActivate, issuer: engineer.Iss, subject: GrantHash(doc), at: now,
		nonce: func(salt [32]byte) string { return ActivateNonce(doc, key, salt) },
	}, p)
	if err != nil {
		return Receipt{}, err
	}
	if receipt.Person.Identity != engineer {
		return Receipt{}, denied("Only the engineer of the request can activate it.", "Sign in as the engineer who asked.")
	}
	if err := v.accepts(g.grant.Asset, receipt); err != nil {
		return Receipt{}, err
	}
	return receipt, nil
}

// ActivatedBy checks again that a receipt lets a key join this grant, as far as that
// needs no policy, provider's key or clock. For the ledger, which keeps activations.
func (v Verified) ActivatedBy(key string, r Receipt) error {
	nonce := func(salt [32]byte) string { return ActivateNonce(v.grantBytes, key, salt) }
	if !v.ok || checkKeyLine(key) != nil || !r.fits(RoleActivate, GrantHash(v.grantBytes), nonce) ||
		r.Person.Identity != v.engineer.Person.Identity {
		return &session.Error{Kind: session.Refused, Message: "The activation does not belong to this grant and key.", Next: "Activate again."}
	}
	return nil
}
