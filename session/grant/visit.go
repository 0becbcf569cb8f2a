package grant

import (
	"context"
	"slices"
	"time"

	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/idtoken"
)

// Visit is somebody of the hospital who signed in at the agent's own page. It approves
// nothing: an approval has a token of its own.
type Visit struct {
	Person   session.Person
	Approver bool // is in the approvers' group
	Groups   []string
}

// CheckVisit checks the token of a sign-in with the hospital's console: issuer, client,
// nonce, times and signature as CheckApproval does, but for how fresh the login is.
func (v *Verifier) CheckVisit(ctx context.Context, client, nonce, token string, now time.Time) (Visit, error) {
	return v.visit(ctx, client, nonce, token, now, false)
}

// CheckFreshVisit also checks that it is as fresh and as strong as an approval's: by it a
// passkey is registered, which approves later.
func (v *Verifier) CheckFreshVisit(ctx context.Context, client, nonce, token string, now time.Time) (Visit, error) {
	return v.visit(ctx, client, nonce, token, now, true)
}

func (v *Verifier) visit(ctx context.Context, client, nonce, token string, now time.Time, fresh bool) (Visit, error) {
	peeked, err := idtoken.Peek(token)
	if err != nil {
		return Visit{}, err
	}
	pin, err := v.pins.pin(question{role: RoleApprove, issuer: peeked.Issuer})
	if err != nil {
		return Visit{}, err
	}
	if pin.Clients[client] != session.Console {
		return Visit{}, misconfigured("%.80q is no console of %.200q", client, pin.URL)
	}
	keys, _ := v.pins.keys.For(pin.URL)
	e := idtoken.Expect{Issuer: pin.URL, Clients: []string{client}, Nonce: nonce, At: now, MaxAge: MaxTokenAge}
	if fresh {
		if err := sameClock(pin.URL, keys); err != nil {
			return Visit{}, err
		}
		e.FreshLogin, e.ACR = pin.FreshFor(), v.pins.acr
	}
	c, err := idtoken.Verify(ctx, keys, token, e)
	if err != nil {
		return Visit{}, err
	}
	return Visit{Person: c.Person, Approver: slices.Contains(c.Groups, pin.Group(session.Approver)), Groups: slices.Clone(c.Groups)}, nil
}
