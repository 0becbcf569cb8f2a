package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/broker/access"
	"github.com/sallyport/sallyport/session"
	"github.com/sallyport/sallyport/session/grant"
)

// registerLife builds the calls about what becomes of a grant, and of an engineer.
func (d *door) registerLife(api huma.API) {
	handle(d, api, "activate-request", func(ctx context.Context, who signedIn, in *activation) (*of[Request], error) {
		r, err := d.Access.Activate(ctx, who, in.ID, in.Body.Key, grant.Proof{Token: in.Body.Token, Salt: in.Body.Salt})
		return answer(r), err
	})
	handle(d, api, "propose-window", func(ctx context.Context, who signedIn, in *counter) (*of[Request], error) {
		r, err := d.Access.Propose(ctx, who, in.ID, Proposal{From: in.Body.From, Until: in.Body.Until, Reason: in.Body.Reason})
		return answer(r), err
	})
	handle(d, api, "revoke-request", func(ctx context.Context, who signedIn, in *revocation) (*of[Request], error) {
		r, err := d.Access.Revoke(ctx, who, in.ID, in.Body.Reason)
		return answer(r), err
	})
	handle(d, api, "list-engineers", func(ctx context.Context, who signedIn, in *Stretch) (*listed[Engineer], error) {
		all, next, err := d.Access.Engineers(ctx, who, access.Stretch(*in))
		return &listed[Engineer]{Next: next, Body: list(all)}, err
	})
	handle(d, api, "disable-engineer", withStanding(d.Access.Disable))
	handle(d, api, "enable-engineer", withStanding(d.Access.Enable))
}

func withStanding(f func(context.Context, access.Caller, string, session.Identity, string) (Engineer, error)) func(context.Context, signedIn, *standing) (*of[Engineer], error) {
	return func(ctx context.Context, who signedIn, in *standing) (*of[Engineer], error) {
		e, err := f(ctx, who, in.Body.Site, session.Identity{Iss: in.Body.Iss, Sub: in.Body.Sub}, in.Body.Reason)
		return answer(e), err
	}
}
