package grant

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
)

// CheckWatch checks the token by which somebody of the hospital may watch a session of an
// asset, with a key, as it comes in. until is when that is over: it counts from the moment
// at which the token was minted, so that the same token never lasts longer.
//
// The login behind it may be older than an approver's: who watches goes on by silent
// renewal, sees what the page behind the sign-in shows anyway, and changes nothing.
func (v *Verifier) CheckWatch(ctx context.Context, asset, id, key string, p Proof, now time.Time) (r Receipt, until time.Time, err error) {
	if _, ok := v.assets[asset]; !ok {
		return Receipt{}, time.Time{}, refused("There is no scanner "+asset+" at "+v.site+".", "Look up the session with sallyport sessions ls.")
	}
	if checkKeyLine(key) != nil {
		return Receipt{}, time.Time{}, invalid("leave to watch", "carries a key that is not a plain ed25519 or P-256 key line", "Let sallyport or its page make the key.")
	}
	token, err := idtoken.Peek(p.Token)
	if err != nil {
		return Receipt{}, time.Time{}, err
	}
	r, err = v.pins.answer(ctx, question{
		role: RoleWatch, issuer: token.Issuer, subject: WatchSubject(id), at: now,
		nonce: func(salt [32]byte) string { return WatchNonce(id, key, salt) },
	}, p)
	if err == nil {
		err = v.accepts(asset, r)
	}
	if err != nil {
		return Receipt{}, time.Time{}, err
	}
	if until = r.IssuedAt.Add(WatchTime); until.After(now.Add(WatchTime)) { // the issuer's clock is ahead
		until = now.Add(WatchTime)
	}
	if !now.Before(until) {
		return Receipt{}, time.Time{}, &session.Error{Kind: session.Expired, Message: "The sign-in token is too old to watch with.", Next: "Sign in again."}
	}
	return r, until, nil
}
